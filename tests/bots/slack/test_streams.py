"""Answers that grow as a stream: a preview that Slack may end at any time, and that the answer always outlives."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bots.slack.posts import CLOCK_SKEW
from bots.slack.streams import MAX_STARTS
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.prompt import Prompt
from tests.bots.slack.conftest import Gateway, Open
from tests.bots.slack.test_delivery import texts, until_delivered
from tests.fakes.slack.client import FakeSlack, State

WORDS = " ".join(f"w{number}" for number in range(20))
HEARD = "I heard: hello 😐"


class Writer:
    """An engine whose replies a test writes, piece by piece."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(self._script)
        self._pieces = asyncio.Queue[str]()

    def write(self, piece: str) -> None:
        self._pieces.put_nowait(piece)

    def end(self) -> None:
        self._pieces.put_nowait("")

    async def _script(self, _prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
        while piece := await self._pieces.get():
            yield piece


@pytest.fixture
def writer() -> Writer:
    return Writer()


@asynccontextmanager
async def running(open_gateway: Open, engine: ScriptedEngine | None = None) -> AsyncIterator[Gateway]:
    """A gateway that has been up for so long that nobody else can have begun what it begins."""
    async with open_gateway(engine) as gateway:
        await gateway.advance(CLOCK_SKEW + 1)
        yield gateway


async def shown(gateway: Gateway, holds: Callable[[State], bool]) -> State:
    """The first state in which something holds, while the bot's time goes on, and Slack's does not."""
    while not holds(state := await gateway.slack.state()):
        gateway.clock.advance(1)
    return state


async def answered(gateway: Gateway, words: str) -> State:
    await shown(gateway, lambda state: any(words in text for text in texts(state)))
    return await until_delivered(gateway)


def grown(state: State) -> list[str]:
    return [entry["text"] for entry in state.entries("appended")]


def edits(state: State) -> list[str]:
    return [entry["text"].strip() for entry in state.entries("edited")]


async def test_direct_message_is_answered_in_a_stream(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """It grows by whole words every few seconds, is stopped, and becomes the answer with its buttons."""
    async with running(open_gateway, writer.engine) as gateway:
        ts = await slack.say("hello")
        for number, piece in enumerate(("one two ", "three four", " five "), start=1):
            writer.write(piece)
            await shown(gateway, lambda state, number=number: len(grown(state)) == number)  # type: ignore[misc]
        writer.end()
        state = await answered(gateway, "five 😐")
        (bubble,) = state.bubbles()
        assert (bubble["text"], bubble["thread_ts"]) == ("one two three four five 😐", ts)
        assert [button["action"] for button in bubble["buttons"]] == ["vote", "vote", "again"]
        assert grown(state) == ["one two ", "one two three ", "one two three four five "]
        assert [entry["what"] for entry in state.journal][-2:] == ["stopped", "edited"]
        assert not state.streams
        assert not {"chat.postMessage", "assistant.threads.setStatus"} & state.calls.keys()


async def test_stream_that_slack_ends_is_edited(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """After five minutes, or half a minute before the first word: from then on there are edits, and one answer."""
    async with running(open_gateway, writer.engine) as gateway:
        for seconds, written in ((31, ()), (301, ("one ",))):
            await slack.say(f"hello {seconds}")
            await shown(gateway, lambda state: len(state.streams) == 1)
            for piece in written:
                writer.write(piece)
                await shown(gateway, lambda state: len(grown(state)) == 1)
            await slack.pull("advance", seconds=seconds)
            assert not (await slack.state()).streams
            writer.write("two ")
            said = "".join(written) + "two"
            await shown(gateway, lambda state, said=said: said in edits(state))  # type: ignore[misc]
            writer.write("three")
            writer.end()
            state = await answered(gateway, f"{said} three 😐")
        assert sorted(texts(state)) == ["one two three 😐", "two three 😐"]
        assert state.calls["chat.startStream"] == 2


@pytest.mark.parametrize("error", ["channel_type_not_supported", "missing_scope", "invalid_arguments"])
async def test_without_streams_there_are_placeholders(open_gateway: Open, slack: FakeSlack, error: str) -> None:
    """Where Slack offers none it is asked once in a channel, and the answer takes a placeholder's place."""
    await slack.pull("fault", method="chat.startStream", kind="error", error=error, times=99)
    async with running(open_gateway):
        for number in (1, 2):
            await slack.say("hello")
            state = await slack.until_shown(*[HEARD] * number)
        assert [entry["text"] for entry in state.entries("posted")] == ["Thinking …"] * 2
        assert (state.calls["chat.startStream"], state.calls["chat.postMessage"]) == (1, 2)


async def test_channels_have_placeholders(open_gateway: Open, slack: FakeSlack) -> None:
    """Only one person would see a stream grow there; edits are seen by all."""
    async with running(open_gateway) as gateway:
        await slack.mention("hello")
        state = await answered(gateway, HEARD)
        assert "chat.startStream" not in state.calls


@pytest.mark.parametrize("kind", ["ratelimited", "unavailable", "cut", "lost", "error"])
@pytest.mark.parametrize("method", ["chat.startStream", "chat.appendStream", "chat.stopStream", "chat.update"])
async def test_failed_call_is_made_good(
    open_gateway: Open, slack: FakeSlack, clock: ManualClock, method: str, kind: str
) -> None:
    """The answer comes once. A stream whose beginning was not answered is left behind, alone and empty."""
    await slack.pull("fault", method=method, kind=kind, error="internal_error", times=2)
    async with running(open_gateway, ScriptedEngine.slow(WORDS, 0.5, clock)) as gateway:
        await slack.say("hello")
        state = await answered(gateway, "w19 😐")
        left_behind = [""] if (method, kind) == ("chat.startStream", "lost") else []
        assert sorted(texts(state)) == [*left_behind, f"{WORDS} 😐"]
        assert len(state.streams) <= len(left_behind)


@pytest.mark.parametrize("error", ["stopped_by_user", "message_not_in_streaming_state"])
async def test_stream_that_is_stopped_by_somebody_else(
    open_gateway: Open, slack: FakeSlack, writer: Writer, error: str
) -> None:
    """The rest is shown by edits."""
    await slack.pull("fault", method="chat.appendStream", kind="error", error=error)
    async with running(open_gateway, writer.engine) as gateway:
        await slack.say("hello")
        writer.write("one ")
        await shown(gateway, lambda state: edits(state) == ["one"])
        writer.write("two ")
        await shown(gateway, lambda state: edits(state)[1:] == ["one two"])
        writer.end()
        state = await answered(gateway, "two 😐")
        assert texts(state) == ["one two 😐"]
        assert state.calls["chat.appendStream"] == 1


async def test_stream_goes_on_as_edits_after_a_restart(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """The next life does not know what stands in it: it stops it and writes over it."""
    async with running(open_gateway, ScriptedEngine.hanging(after=3, text="half a word or more")) as gateway:
        await slack.pull("fault", method="chat.stopStream", kind="unavailable")
        await slack.say("hello")
        await shown(gateway, lambda state: grown(state) == ["half a "])
    assert (await slack.state()).streams
    async with open_gateway(writer.engine) as gateway:
        writer.write("one ")
        await shown(gateway, lambda state: edits(state) == ["one"])
        writer.write("two ")
        await shown(gateway, lambda state: edits(state)[1:] == ["one two"])
        writer.end()
        assert texts(await answered(gateway, "two 😐")) == ["one two 😐"]


async def test_streams_are_stopped_when_the_bot_ends(open_gateway: Open, slack: FakeSlack) -> None:
    """Nobody is left looking at a message that seems to be written."""
    async with running(open_gateway, ScriptedEngine.hanging(after=1)):
        await slack.say("hello")
        await slack.until(lambda state: len(state.streams) == 1)
    state = await slack.state()
    assert not state.streams
    assert len(state.bubbles()) == 1


async def test_answer_outlives_a_stream_that_is_deleted(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """It is a message of its own then."""
    async with running(open_gateway, writer.engine) as gateway:
        await slack.say("hello")
        state = await slack.until(lambda state: len(state.streams) == 1)
        await slack.pull("remove", channel="D1", ts=state.streams[0])
        writer.write("hello you")
        writer.end()
        assert texts(await answered(gateway, "hello you")) == ["hello you 😐"]


@pytest.mark.parametrize("kind", ["", "unavailable", "lost"])
async def test_answer_with_a_link_is_posted(open_gateway: Open, slack: FakeSlack, writer: Writer, kind: str) -> None:
    """In a stream links are taken apart, and Slack cannot be told to leave them alone: the answer takes its place."""
    for method in ("chat.delete", "chat.postMessage") if kind else ():
        await slack.pull("fault", method=method, kind=kind)
    said = "see https://evil.example/?q=secret or evil.example or <!channel> "
    async with running(open_gateway, writer.engine) as gateway:
        await slack.say("hello")
        writer.write(said)
        await shown(gateway, lambda state: [text.replace("\u2060", "") for text in grown(state)] == [said])
        writer.end()
        state = await answered(gateway, "😐")
        assert texts(state) == [f"{said}😐"]
        assert state.bubbles()[0]["buttons"]
        seen = [entry for what in ("posted", "appended", "stopped", "edited") for entry in state.entries(what)]
        assert not any(entry["pings"] or entry["previews_links"] for entry in seen)


async def test_stream_that_may_not_be_deleted_is_edited(open_gateway: Open, slack: FakeSlack) -> None:
    """An answer in a poor place is better than none, or two."""
    await slack.pull("fault", method="chat.delete", kind="error", error="cant_delete_message", times=9)
    async with running(open_gateway, ScriptedEngine.fixed("see example.com")) as gateway:
        await slack.say("hello")
        state = await answered(gateway, "example.com 😐")
        assert texts(state) == ["see example.com 😐"]


async def test_code_that_closes_ends_the_stream(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """What was written as text turns out to be code: it cannot be appended to, so it is written over."""
    async with running(open_gateway, writer.engine) as gateway:
        await slack.say("hello")
        writer.write("try `a < b ")
        await shown(gateway, lambda state: grown(state) == ["try `a < b "])
        writer.write("< c` now ")
        await shown(gateway, lambda state: edits(state) == ["try `a < b < c` now"])
        writer.end()
        assert texts(await answered(gateway, "now 😐")) == ["try `a < b < c` now 😐"]


async def test_slacks_limits_are_kept(open_gateway: Open, slack: FakeSlack) -> None:
    """When many write at once the first are answered by streams and the others by placeholders, none over a limit."""
    await slack.pull("rules", limited=True)
    async with running(open_gateway) as gateway:
        for number in range(MAX_STARTS + 5):
            await slack.say("hello", user=f"U{number + 10}")
        state = await slack.until_shown(*[HEARD] * (MAX_STARTS + 5))
        assert (state.calls["chat.startStream"], state.calls["chat.stopStream"]) == (MAX_STARTS, MAX_STARTS)
        assert state.calls["chat.postMessage"] == 5
        await gateway.advance(60)
        await slack.say("once more")
        state = await slack.until(lambda state: any("once more 😐" in text for text in texts(state)))
        assert state.calls["chat.startStream"] == MAX_STARTS + 1
