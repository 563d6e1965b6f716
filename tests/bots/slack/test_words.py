"""Words that are not the sender's own, and things without words, on Slack from end to end."""

from typing import Any

import pytest
import sqlalchemy as sa

from core.engine.scripted import ScriptedEngine
from core.messages import Label
from core.store.schema import turns
from tests.bots.slack.conftest import Gateway, Open
from tests.fakes.slack.client import FakeSlack

SHARE = {
    "is_share": True,
    "is_msg_unfurl": True,
    "author_name": "Bob",
    "author_id": "U2",
    "text": "The deploy failed because the disk was full.",
    "fallback": "Bob: The deploy failed because the disk was full.",
}
CELLS = [["Name", "Qty"], ["Apple", "7"]]
TABLE = {"type": "table", "rows": [[{"type": "raw_text", "text": cell} for cell in row] for row in CELLS]}
ALERT = {"title": "Disk almost full on db-1", "text": "92 % used"}


async def read(gateway: Gateway, number: int = 1) -> str:
    """The last message of the model's prompt, once `number` messages are answered."""
    await gateway.slack.until(lambda state: sum("heard" in bubble["text"] for bubble in state.bubbles()) >= number)
    return gateway.engine.prompts[-1][-1].content


async def test_a_shared_message_is_quoted(open_gateway: Open, slack: FakeSlack) -> None:
    """The words of a message that is shared with a comment reach the model as a quote."""
    async with open_gateway() as gateway:
        await slack.say("what does this mean?", attachments=[SHARE])
        assert await read(gateway) == (
            "(I forward another person's message:)\n> The deploy failed because the disk was full.\n\n"
            "what does this mean?"
        )


async def test_a_shared_command_is_not_carried_out(open_gateway: Open, slack: FakeSlack) -> None:
    """A command in a message that is shared without a comment is read and not carried out."""
    engine = ScriptedEngine.fixed("I heard", mood=lambda _: Label.NEGATIVE)
    async with open_gateway(engine) as gateway:
        await slack.say("", attachments=[SHARE | {"text": "!forget"}])
        await slack.until_shown("I heard")
        assert "> !forget\n" in engine.prompts[0][-1].content
        kept = await gateway.store.run(lambda c: c.execute(sa.select(turns.c.source, turns.c.mood_label)).all())
        assert kept == [("model", None)]


async def test_the_address_of_a_link_is_read(open_gateway: Open, slack: FakeSlack) -> None:
    """The model reads the address under a label, also if the label is a part of it."""
    async with open_gateway() as gateway:
        await slack.say("read <https://docs.example.com/setup/index.html|setup> please")
        assert await read(gateway) == "read setup (https://docs.example.com/setup/index.html) please"


async def test_a_slash_command_is_read_as_it_is_typed(open_gateway: Open, slack: FakeSlack) -> None:
    """The model reads the text of a slash command without escapes, and with names of people and channels."""
    text = "what does a &amp;&amp; b &lt; c mean, <@U0BOB|bob> in <#C012|general>?"
    async with open_gateway() as gateway:
        await slack.pull("command", channel="C1", user="U1", command="/parley", text=text)
        await slack.until(lambda state: bool(state.entries("response")))
        assert gateway.engine.prompts[-1][-1].content == "what does a && b < c mean, @bob in #general?"


@pytest.mark.parametrize(
    ("said", "read_as"),
    [
        ("<@UBOT>, <@U2|other> are you both there?", "@you, @other are you both there?"),
        ("<@U2|other> <@UBOT>：你们都在吗？", "@other @你：你们都在吗？"),
    ],
)
async def test_the_model_knows_that_it_is_one_of_two_addressed(
    open_gateway: Open, slack: FakeSlack, said: str, read_as: str
) -> None:
    """If a message in a channel addresses two apps, the model reads that it is meant beside the other."""
    async with open_gateway() as gateway:
        await slack.say(said, channel="C1")
        assert await read(gateway) == read_as


async def test_a_pasted_table_is_read(open_gateway: Open, slack: FakeSlack) -> None:
    """The cells of a table reach the model row by row."""
    async with open_gateway() as gateway:
        await slack.say("which is larger?", attachments=[{"fallback": "[no preview available]", "blocks": [TABLE]}])
        assert "> Name | Qty\n> Apple | 7\n\nwhich is larger?" in await read(gateway)


async def test_the_model_is_told_of_a_picture(open_gateway: Open, slack: FakeSlack) -> None:
    """A picture with a question is answered by the model, which is told that it cannot see the picture."""
    async with open_gateway() as gateway:
        files = [{"id": "F1", "mimetype": "image/png"}]
        await slack.say("what is in this picture?", subtype="file_share", files=files)
        told = "(Attached: a picture. You can only read text, not see or hear it.)\n\nwhat is in this picture?"
        assert await read(gateway) == told


async def test_a_voice_clip_is_answered_without_the_model(open_gateway: Open, slack: FakeSlack) -> None:
    """A clip without words is answered with what the bot cannot do."""
    async with open_gateway() as gateway:
        files = [{"id": "F1", "mimetype": "audio/webm", "subtype": "slack_audio"}]
        await slack.say("", subtype="file_share", files=files)
        await slack.until_shown("I cannot listen to voice messages yet. Could you tell me in words?")
        assert gateway.engine.prompts == []


@pytest.mark.parametrize(
    ("name", "unicode", "mood"), [("angry", "1f620", "😟"), ("odd-new-face", "1f620", "😟"), ("tada", "1f389", "😊")]
)
async def test_an_emoji_in_blocks_has_its_mood(
    open_gateway: Open, slack: FakeSlack, name: str, unicode: str, mood: str
) -> None:
    """An emoji is read by the characters that Slack sends along, also if its name is unknown here."""
    engine = ScriptedEngine.fixed("I heard", mood=lambda text: Label.NEGATIVE if "😠" in text else Label.POSITIVE)
    line = {"type": "rich_text_section", "elements": [{"type": "emoji", "name": name, "unicode": unicode}]}
    async with open_gateway(engine):
        await slack.say(f":{name}:", blocks=[{"type": "rich_text", "elements": [line]}])
        await slack.until_shown(f"I heard {mood}")


async def test_a_me_message_is_answered(open_gateway: Open, slack: FakeSlack) -> None:
    """What a person says about themselves with /me is answered like any message."""
    async with open_gateway():
        await slack.say("is sad today", subtype="me_message")
        await slack.until_shown("I heard: is sad today 😐")


@pytest.mark.parametrize("takes_part", [False, True])
async def test_a_mention_alone_asks_about_the_thread(open_gateway: Open, slack: FakeSlack, *, takes_part: bool) -> None:
    """A mention without words is answered from the sender's earlier messages in the thread."""
    async with open_gateway() as gateway:
        thread = await slack.say("How long do I boil an egg?", channel="C1")
        await slack.say("I do not like eggs", channel="C1", user="U2", thread_ts=thread)
        if takes_part:
            await slack.mention("hello", channel="C1", user="U3", thread_ts=thread)
            await read(gateway)
        await slack.mention("", thread_ts=thread)
        assert await read(gateway, 1 + takes_part) == (
            "(Quoted from earlier in this chat:)\n> How long do I boil an egg?\n\nPlease reply to this."
        )


async def test_an_alert_of_another_app_is_quoted(open_gateway: Open, slack: FakeSlack) -> None:
    """What another app posted in the thread is quoted to everybody, and what another person said is not."""
    async with open_gateway() as gateway:
        alert: dict[str, Any] = {"subtype": "bot_message", "bot_id": "B9", "attachments": [ALERT]}
        thread = await slack.say("", channel="C1", user="", **alert)
        await slack.say("not for all", channel="C1", user="U2", thread_ts=thread)
        await slack.mention("what does this alert mean?", thread_ts=thread)
        assert await read(gateway) == (
            "(Quoted from earlier in this chat:)\n> Disk almost full on db-1\n> 92 % used\n\nwhat does this alert mean?"
        )
