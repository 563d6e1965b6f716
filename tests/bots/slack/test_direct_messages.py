"""Direct messages on Slack: one conversation with each person, or one in each thread."""

import pytest

from bots.slack.translate import DirectMessages
from core.engine.scripted import ScriptedEngine
from tests.bots.slack.conftest import Gateway, Open
from tests.bots.slack.test_stop import press_stop, sessions
from tests.fakes.slack.client import FakeSlack


async def asked(gateway: Gateway, text: str, **where: str) -> tuple[str, str]:
    """Say something in the direct messages. What the model reads, and the thread of the answer."""
    before = len(gateway.engine.prompts)
    await gateway.slack.say(text, **where)
    state = await gateway.slack.until(
        lambda state: any(f"heard: {text} " in bubble["text"] for bubble in state.bubbles())
    )
    (thread,) = (bubble["thread_ts"] for bubble in state.bubbles() if f"heard: {text} " in bubble["text"])
    return str(gateway.engine.prompts[before:]), thread


@pytest.mark.parametrize(("directs", "knows"), [("one", True), ("threads", False)])
async def test_direct_messages_are_one_conversation(
    open_gateway: Open, slack: FakeSlack, directs: DirectMessages, *, knows: bool
) -> None:
    """The bot knows what the message before said, unless each is a conversation. It answers in their threads."""
    async with open_gateway(directs=directs) as gateway:
        first, one = await asked(gateway, "my name is Ann")
        second, two = await asked(gateway, "what is my name?")
        said = [entry["ts"] for entry in (await slack.state()).entries("said")]
    assert ("Ann" in first, "Ann" in second) == (True, knows)
    assert [one, two] == said


@pytest.mark.parametrize("directs", ["one", "threads"])
async def test_a_thread_below_a_direct_message_goes_on(open_gateway: Open, directs: DirectMessages) -> None:
    """A reply in the thread of an answer knows its question, also after a restart, and is answered in that thread."""
    async with open_gateway(directs=directs) as gateway:
        _, thread = await asked(gateway, "my name is Ann")
    async with open_gateway(directs=directs) as gateway:
        read, there = await asked(gateway, "what is my name?", thread_ts=thread)
        assert ("Ann" in read, there) == (True, thread)
        read, there = await asked(gateway, "once more, please?")
        assert ("what is my name" in read) == (directs == "one")
        assert there != thread


async def test_a_thread_of_its_own_stays_one(open_gateway: Open) -> None:
    """A thread that no message of the person began, such as a chat of Slack's assistant pane, is a conversation."""
    pane = {"thread_ts": "9.000001"}
    async with open_gateway() as gateway:
        await asked(gateway, "my name is Ann")
        read, there = await asked(gateway, "what is my name?", **pane)
        assert ("Ann" in read, there) == (False, "9.000001")
        await asked(gateway, "my dog is Rex", **pane)
        read, _ = await asked(gateway, "who is my dog?", **pane)
        assert "Rex" in read
        read, _ = await asked(gateway, "and what did I say?")
        assert ("Ann" in read, "Rex" in read) == (True, False)


async def test_another_persons_direct_messages_are_apart(open_gateway: Open) -> None:
    """The direct messages of two people are two conversations."""
    async with open_gateway() as gateway:
        await asked(gateway, "my name is Ann")
        read, _ = await asked(gateway, "what is my name?", channel="D2", user="U2")
        assert "Ann" not in read


async def test_a_slash_command_in_the_direct_messages_belongs_to_them(open_gateway: Open, slack: FakeSlack) -> None:
    """What `/parley` asks in the direct messages belongs to the conversation, and is answered at its response URL."""
    async with open_gateway() as gateway:
        await asked(gateway, "my name is Ann")
        await slack.pull("command", channel="D1", user="U1", command="/parley", text="what is my name?")
        await slack.until(lambda state: bool(state.entries("response")))
        assert "Ann" in str(gateway.engine.prompts[-1])
        assert len((await slack.state()).bubbles()) == 1


async def test_a_reset_is_for_the_whole_conversation(open_gateway: Open, slack: FakeSlack) -> None:
    """`!reset` at the top of the direct messages is a command, and begins all of them anew."""
    async with open_gateway() as gateway:
        _, thread = await asked(gateway, "my name is Ann")
        await slack.say("!reset")
        await slack.until(lambda state: any("afresh" in bubble["text"] for bubble in state.bubbles()))
        read, _ = await asked(gateway, "what is my name?", thread_ts=thread)
        assert "Ann" not in read


async def test_slacks_stop_button_finds_the_answer(open_gateway: Open, slack: FakeSlack) -> None:
    """The button below an answer in a thread of the direct messages stops it, and ends the session of that thread."""
    async with open_gateway(ScriptedEngine.hanging(2, text="one two three")) as gateway:
        top = await slack.say("hello")
        await gateway.until(lambda state: sessions(state) == ["processing"])
        await press_stop(slack, top)
        await gateway.until(lambda state: sessions(state) == ["processing", "active"])
        await slack.say("and now", thread_ts=top)
        await gateway.until(lambda state: sessions(state)[2:] == ["processing"])
        await press_stop(slack, top)
        state = await gateway.until(lambda state: sessions(state)[2:] == ["processing", "active"])
    assert {entry["thread_ts"] for entry in state.entries("session")} == {top}
    assert [bubble["thread_ts"] for bubble in state.bubbles()] == [top, top]


async def test_again_answers_in_the_same_thread(open_gateway: Open, slack: FakeSlack) -> None:
    """A question of the direct messages that is answered again is answered in the thread of its first answer."""
    async with open_gateway() as gateway:
        _, thread = await asked(gateway, "hello")
        await asked(gateway, "and you?")
        answer = (await slack.state()).bubbles()[0]
        (button,) = [button for button in answer["buttons"] if button["action"] == "again"]
        await slack.pull("click", channel="D1", ts=answer["ts"], user="U1", **button)
        state = await slack.until(lambda state: len(state.bubbles()) == 3 and "hello" in state.bubbles()[2]["text"])
        assert state.bubbles()[2]["thread_ts"] == thread
