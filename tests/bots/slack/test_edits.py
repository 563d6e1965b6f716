"""Edited messages on Slack, from end to end (docs.slack.dev/reference/events/message/message_changed)."""

import pytest

from core.engine.scripted import ScriptedEngine
from tests.bots.slack.conftest import Gateway, Open
from tests.bots.slack.test_talk import number_of_turns
from tests.fakes.slack.client import FakeSlack, State
from tests.fakes.slack.workspace import BOT_USER

FACE = "\U0001f610"


async def shown(gateway: Gateway, *texts: str) -> State:
    """Wait until the bot's messages have these texts."""
    return await gateway.until(lambda state: [bubble["text"] for bubble in state.bubbles()] == list(texts))


async def test_an_edited_question_is_answered_anew_in_its_message(open_gateway: Open, slack: FakeSlack) -> None:
    """The answer is edited, for every edit once, and the history knows the new words only."""
    async with open_gateway() as gateway:
        ts = await slack.say("where is the cat?")
        await shown(gateway, f"I heard: where is the cat? {FACE}")
        await slack.change(ts, text="where is the dog?")
        await shown(gateway, f"I heard: where is the dog? {FACE}")
        await slack.change(ts, text="where is the cow?")
        await shown(gateway, f"I heard: where is the cow? {FACE}")
        await slack.say("what did I ask?")
        await shown(gateway, f"I heard: where is the cow? {FACE}", f"I heard: what did I ask? {FACE}")
        assert "dog" not in str(gateway.engine.prompts[-1])
        assert await number_of_turns(gateway) == 2


async def test_a_preview_of_a_link_changes_nothing(open_gateway: Open, slack: FakeSlack) -> None:
    """Slack adds previews to a message by a change that its sender did not make."""
    async with open_gateway() as gateway:
        ts = await slack.say("is https://example.org down?")
        await shown(gateway, f"I heard: is https://example.org down? {FACE}")
        asked = len(gateway.engine.prompts)
        await slack.change(ts, attachments=[{"title": "Example", "from_url": "https://example.org"}])
        await gateway.advance(5)
        assert len(gateway.engine.prompts) == asked


async def test_a_mention_that_is_edited_comes_in_two_events(open_gateway: Open, slack: FakeSlack) -> None:
    """Both events of an edited mention are one edit."""
    async with open_gateway() as gateway:
        ts = await slack.mention("where is the cat?")
        await shown(gateway, f"I heard: where is the cat? {FACE}")
        await slack.change(ts, channel="C1", text=f"<@{BOT_USER}> where is the dog?")
        await shown(gateway, f"I heard: where is the dog? {FACE}")
        assert await number_of_turns(gateway) == 1


async def test_an_edited_mention_is_known_without_the_channels_messages(open_gateway: Open, slack: FakeSlack) -> None:
    """An app that is sent mentions alone learns of the edit from the mention that Slack sends again."""
    async with open_gateway() as gateway:
        ts = await slack.mention("where is the cat?")
        await shown(gateway, f"I heard: where is the cat? {FACE}")
        await slack.pull("rules", muted=["message"])
        await slack.change(ts, channel="C1", text=f"<@{BOT_USER}> where is the dog?")
        await shown(gateway, f"I heard: where is the dog? {FACE}")


async def test_a_mention_that_is_edited_in_is_a_question(open_gateway: Open, slack: FakeSlack) -> None:
    """A message to the channel that is edited into one to the bot is answered once."""
    async with open_gateway() as gateway:
        ts = await slack.say("where is the cat?", channel="C1")
        await slack.change(ts, channel="C1", text=f"<@{BOT_USER}> where is the cat?")
        await shown(gateway, f"I heard: where is the cat? {FACE}")
        assert await number_of_turns(gateway) == 1


async def test_an_answer_in_a_channel_does_not_become_a_personal_one(open_gateway: Open, slack: FakeSlack) -> None:
    """A question that is edited into a command whose answer is for the sender alone keeps its answer."""
    async with open_gateway() as gateway:
        ts = await slack.mention("where is the cat?")
        await shown(gateway, f"I heard: where is the cat? {FACE}")
        await slack.change(ts, channel="C1", text=f"<@{BOT_USER}> !stats")
        await gateway.advance(5)
        await shown(gateway, f"I heard: where is the cat? {FACE}")


async def test_an_answer_anew_has_no_parts_of_the_earlier_one(open_gateway: Open, slack: FakeSlack) -> None:
    """Messages that the new answer does not need are deleted."""
    story = "\n\n".join(f"Chapter {number} tells of {number**3} foxes." for number in range(400))
    engine = ScriptedEngine.replying(lambda prompt: story if "long" in prompt[-1].content else "short")
    async with open_gateway(engine=engine) as gateway:
        ts = await slack.say("tell me a long story")
        await gateway.until(lambda state: len(state.bubbles()) > 1)
        await slack.change(ts, text="tell me a tale")
        await shown(gateway, f"short {FACE}")


@pytest.mark.parametrize("text", ["<@U2> where is the cat?", "where is the cat?"])
async def test_an_edit_by_others_and_to_others_is_left_alone(open_gateway: Open, slack: FakeSlack, text: str) -> None:
    """An answered question stays so if it is edited into a message to other people."""
    async with open_gateway() as gateway:
        ts = await slack.mention("where is the cat?")
        await shown(gateway, f"I heard: where is the cat? {FACE}")
        asked = len(gateway.engine.prompts)
        await slack.change(ts, channel="C1", text=text)
        await gateway.advance(5)
        assert len(gateway.engine.prompts) == asked
