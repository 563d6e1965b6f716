"""Conversations on Slack from end to end, by both transports over real sockets."""

import re
from dataclasses import replace

import pytest
import sqlalchemy as sa

from core.commands import COMMANDS
from core.engine.scripted import ScriptedEngine
from core.errors import EngineRefused
from core.messages import Label
from core.store.schema import turns, votes
from tests.bots.slack.conftest import LIMITS, Gateway, Open
from tests.fakes.slack.client import FakeSlack


async def number_of_turns(gateway: Gateway) -> int:
    return await gateway.store.run(lambda c: c.execute(sa.select(sa.func.count()).select_from(turns)).scalar_one())


@pytest.mark.parametrize("http", [False, True])
async def test_direct_message_is_answered_in_its_thread(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """The answer replaces the placeholder in the thread of the message, and every event is acknowledged."""
    async with open_gateway(http=http) as gateway:
        ts = await slack.say("hello there")
        state = await slack.until_shown("I heard: hello there 😐")
        assert [bubble["thread_ts"] for bubble in state.bubbles()] == [ts]
        assert state.entries("posted")[0]["text"] == "Thinking …"
        assert gateway.front.health().connected
        await slack.until(lambda state: not state.unacknowledged())


async def test_chinese_is_met_in_chinese(open_gateway: Open, slack: FakeSlack) -> None:
    """The placeholder is in the language of the message, and the answer shows the mood."""
    engine = ScriptedEngine.fixed("很高兴认识你", mood=lambda text: Label.POSITIVE if "开心" in text else Label.NEUTRAL)
    async with open_gateway(engine):
        await slack.say("你好，今天真开心")
        state = await slack.until_shown("很高兴认识你 😊")
        assert state.entries("posted")[0]["text"] == "正在想……"


async def test_an_emoji_is_read_as_it_is_seen(open_gateway: Open, slack: FakeSlack) -> None:
    """The mood and the reply are asked for with the emoji itself, which Slack sends by name."""
    engine = ScriptedEngine.fixed("What is wrong?", mood=lambda text: Label.NEGATIVE if "😠" in text else Label.NEUTRAL)
    async with open_gateway(engine):
        await slack.say(":angry:")
        await slack.until_shown("What is wrong? 😟")
        assert "😠" in engine.prompts[-1][-1].content


@pytest.mark.parametrize("http", [False, True])
async def test_mention_comes_twice_and_is_answered_once(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """The two events of a mention are one turn, and both are acknowledged."""
    async with open_gateway(http=http) as gateway:
        ts = await slack.mention("hello")
        state = await slack.until(lambda state: len(state.bubbles()) > 0 and not state.unacknowledged())
        state = await slack.until_shown("I heard: hello 😐")
        assert state.bubbles()[0]["thread_ts"] == ts
        assert await number_of_turns(gateway) == 1


async def test_thread_of_the_bot_goes_on_without_mention(open_gateway: Open, slack: FakeSlack) -> None:
    """The bot answers in its threads without a mention, also after a restart, and stays out of other conversations."""
    async with open_gateway():
        thread = await slack.mention("hello")
        await slack.until_shown("I heard: hello 😐")
        foreign = await slack.say("just us", channel="C1")
        await slack.say("nothing for you", channel="C1", thread_ts=foreign)
    async with open_gateway() as gateway:
        await slack.say("<@U2> and you?", channel="C1", thread_ts=thread)
        await slack.say("and more", channel="C1", user="U3", thread_ts=thread)
        state = await slack.until_shown("I heard: hello 😐", "I heard: and more 😐")
        assert {bubble["thread_ts"] for bubble in state.bubbles()} == {thread}
        await gateway.until(lambda state: not state.unacknowledged())
        assert await number_of_turns(gateway) == 2


async def test_history_is_kept_by_thread(open_gateway: Open, slack: FakeSlack) -> None:
    """The model sees the history of this thread and nothing of another."""
    async with open_gateway() as gateway:
        thread = await slack.say("the first canary")
        await slack.until_shown("I heard: the first canary 😐")
        await slack.say("what did I say", thread_ts=thread)
        await slack.until(lambda state: len(state.bubbles()) == 2)
        await slack.say("and here")
        await slack.until(lambda state: len(state.bubbles()) == 3 and "and here" in state.bubbles()[2]["text"])
        asked = [str(prompt) for prompt in gateway.engine.prompts]
        assert ["canary" in prompt for prompt in asked] == [True, True, False]


@pytest.mark.parametrize(("shared", "seen"), [(False, "> mine\n\nand?"), (True, "> we saw a whale\n> mine\n\nand?")])
async def test_called_into_a_thread_it_reads_what_came_before(
    open_gateway: Open, slack: FakeSlack, *, shared: bool, seen: str
) -> None:
    """The bot quotes the sender's earlier messages of a thread, and everybody's only if people share a history."""
    async with open_gateway(shared=shared) as gateway:
        thread = await slack.say("we saw a whale", channel="C1", user="U2")
        await slack.say("mine", channel="C1", thread_ts=thread)
        await slack.mention("and?", thread_ts=thread)
        await slack.until(lambda state: len(state.bubbles()) == 1 and "heard" in state.bubbles()[0]["text"])
        assert gateway.engine.prompts[0][-1].content == f"(Quoted from earlier in this chat:)\n{seen}"


async def test_bots_do_not_talk_to_bots(open_gateway: Open, slack: FakeSlack) -> None:
    """Messages of other bots and of the bot itself, new or edited, are acknowledged and not answered."""
    async with open_gateway() as gateway:
        await slack.say("hello", user="U9", bot_id="B9")
        await slack.say("hello", user="UBOT")
        await slack.say("hello")
        await slack.until_shown("I heard: hello 😐")
        await slack.until(lambda state: not state.unacknowledged())
        assert len(gateway.engine.prompts) == 1


async def test_every_event_is_acknowledged(open_gateway: Open, slack: FakeSlack) -> None:
    """Events that the bot does not read are acknowledged at the first attempt."""
    async with open_gateway():
        for kind in ("reaction_added", "member_joined_channel", "tokens_revoked", "message"):
            await slack.pull("event", event={"type": kind, "item": {"channel": "C1"}})
        state = await slack.until(lambda state: len(state.sendings) == 4 and not state.unacknowledged())
        assert {sending["attempts"] for sending in state.sendings.values()} == {1}


@pytest.mark.parametrize(("rejected", "text"), [([], "**Title**\n\n**bold** 😐"), (["markdown"], "Title\n\nbold 😐")])
async def test_slash_answer_is_rendered(open_gateway: Open, slack: FakeSlack, rejected: list[str], text: str) -> None:
    """The model's answer to a slash command is shown as in a thread, or as plain text if Slack rejects that."""
    await slack.pull("rules", rejected_blocks=rejected)
    async with open_gateway(ScriptedEngine.fixed("# Title\n\n**bold**")):
        await slack.pull("command", channel="C1", user="U1", command="/parley", text="how is it written?")
        state = await slack.until(lambda state: bool(state.entries("response")))
        (said,) = state.entries("response")
        assert said["text"] == text


@pytest.mark.parametrize("http", [False, True])
async def test_slash_command_is_answered_privately(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """A slash command is answered at its response URL, visible to one person, and nothing is posted."""
    async with open_gateway(http=http):
        name = await slack.pull("command", channel="C1", user="U1", command="/parley", text="stats")
        state = await slack.until(lambda state: bool(state.entries("response")))
        (said,) = state.entries("response")
        assert said["url"] == name
        assert said["response_type"] == "ephemeral"
        assert "Messages: 0 answered" in said["text"]
        assert not state.bubbles()


async def test_command_in_a_thread(open_gateway: Open, slack: FakeSlack) -> None:
    """In a thread, where Slack has no slash commands, "!help" is a command; its answer has no buttons."""
    async with open_gateway():
        await slack.mention("!help")
        state = await slack.until(lambda state: any("!reset" in bubble["text"] for bubble in state.bubbles()))
        assert not state.bubbles()[0]["buttons"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("!help", [f"!{command.name}" for command in COMMANDS]),
        ("!lang", ["!lang [en|zh|auto]"]),
        ("!mood perhaps", ["!mood on|off"]),
    ],
)
@pytest.mark.parametrize("slash", [False, True])
async def test_commands_are_named_as_slack_takes_them(
    open_gateway: Open, slack: FakeSlack, text: str, named: list[str], *, slash: bool
) -> None:
    """No answer names a bare "/stop", which Slack would refuse: it is "!stop" in threads, else "/parley stop"."""
    async with open_gateway():
        if slash:
            await slack.pull("command", channel="C1", user="U1", command="/parley", text=text)
            state = await slack.until(lambda state: bool(state.entries("response")))
            said = state.entries("response")[0]["text"]
            named = [name.replace("!", "/parley ") for name in named]
        else:
            await slack.mention(text)
            state = await slack.until(lambda state: any("!" in bubble["text"] for bubble in state.bubbles()))
            said = state.bubbles()[0]["text"]
    assert all(name in said for name in named)
    assert not re.search(r"(?<!\w)/(?!parley )", said)


@pytest.mark.parametrize(("slash", "reset"), [(False, "!reset"), (True, "/parley reset")])
async def test_an_apology_names_a_command_as_slack_takes_it(
    open_gateway: Open, slack: FakeSlack, reset: str, *, slash: bool
) -> None:
    """If the model refuses a prompt, the apology names the command that may help as it is typed there."""

    def refuse(_prompt: object) -> str:
        raise EngineRefused(status=400, reason="too long")

    async with open_gateway(ScriptedEngine.replying(refuse)):
        if slash:
            await slack.pull("command", channel="C1", user="U1", command="/parley", text="what is it?")
            await slack.until(lambda state: any(reset in entry["text"] for entry in state.entries("response")))
        else:
            await slack.mention("what is it?")
            await slack.until(lambda state: any(reset in bubble["text"] for bubble in state.bubbles()))


@pytest.mark.parametrize("http", [False, True])
async def test_votes_are_kept(open_gateway: Open, slack: FakeSlack, *, http: bool) -> None:
    """A press of a feedback button is recorded as a vote."""
    async with open_gateway(http=http) as gateway:
        await slack.say("hello")
        state = await slack.until(lambda state: any(bubble["buttons"] for bubble in state.bubbles()))
        (bubble,) = state.bubbles()
        assert [button["action"] for button in bubble["buttons"]] == ["vote", "vote", "again"]
        for user, button in (("U1", bubble["buttons"][0]), ("U2", bubble["buttons"][1])):
            press = {"user": user, "action": button["action"], "value": button["value"]}
            await slack.pull("click", channel="D1", ts=bubble["ts"], **press)
        await slack.until(lambda state: not state.unacknowledged())
        cast = await gateway.store.run(lambda c: c.scalars(sa.select(votes.c.vote).order_by(votes.c.vote)).all())
        assert cast == [-1, 1]


async def test_again_asks_once_more(open_gateway: Open, slack: FakeSlack) -> None:
    """The "Again" button has the last question of the thread answered again, in the thread."""
    async with open_gateway() as gateway:
        thread = await slack.say("what are you doing here")
        state = await slack.until(lambda state: any(bubble["buttons"] for bubble in state.bubbles()))
        (bubble,) = state.bubbles()
        await slack.pull("click", channel="D1", ts=bubble["ts"], user="U1", action="again", value="1")
        heard = "I heard: what are you doing here 😐"
        state = await slack.until_shown(heard, heard)
        assert {bubble["thread_ts"] for bubble in state.bubbles()} == {thread}
        assert gateway.engine.prompts[0] == gateway.engine.prompts[1]


async def test_strangers_are_answered_only_if_they_address_the_bot(open_gateway: Open, slack: FakeSlack) -> None:
    """People who are not allowed are told so if they address the bot, not if they write to others in its thread.

    They cannot vote, and no thread is read for them.
    """
    async with open_gateway(limits=replace(LIMITS, allow=frozenset({"slack:U1"}))) as gateway:
        thread = await slack.mention("hello")
        state = await slack.until(lambda state: any(bubble["buttons"] for bubble in state.bubbles()))
        (answer,) = state.bubbles()
        await slack.say("you two go on", channel="C1", user="U2", thread_ts=thread)
        await slack.pull("click", channel="C1", ts=answer["ts"], user="U2", action="vote:1", value="1:1")
        other = await slack.say("just us", channel="C1", user="U2")
        await slack.mention("and me?", user="U2", thread_ts=other)
        state = await slack.until(lambda state: not state.unacknowledged() and "U2" in state.bubbles()[-1]["text"])
        assert [bubble["thread_ts"] for bubble in state.bubbles()] == [thread, other]
        assert await number_of_turns(gateway) == 2
        assert await gateway.store.run(lambda c: c.scalars(sa.select(votes.c.vote)).all()) == []


async def test_prompts_are_suggested(open_gateway: Open, slack: FakeSlack) -> None:
    """A person who opens the Messages tab is offered prompts in both languages."""
    async with open_gateway():
        await slack.pull("event", event={"type": "app_home_opened", "tab": "messages", "channel": "D1", "user": "U1"})
        state = await slack.until(lambda state: bool(state.entries("prompts")))
        (offered,) = state.entries("prompts")
        messages = [prompt["message"] for prompt in offered["prompts"]]
        assert len(messages) == 4
        assert any("wonderful" in message for message in messages)
        assert any("开心" in message for message in messages)
