"""Previews as streams, which Slack may end at any time without harm to the answer."""

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
    """An engine whose reply a test writes piece by piece."""

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
    """A gateway that started before any message, so that no earlier process can have begun its turns."""
    async with open_gateway(engine) as gateway:
        await gateway.advance(CLOCK_SKEW + 1)
        yield gateway


async def shown(gateway: Gateway, holds: Callable[[State], bool]) -> State:
    """The first state that satisfies a condition, while the bot's clock advances and Slack's stands still."""
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
    """The stream grows by whole words every few seconds, is stopped, and becomes the answer with its buttons."""
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
        assert [entry["what"] for entry in state.journal][-3:] == ["stopped", "edited", "session"]
        assert not state.streams
        assert "chat.postMessage" not in state.calls


async def test_stream_that_slack_ends_is_edited(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """A stream that Slack ends, after five minutes or 30 seconds of silence, is continued by edits into one answer."""
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
    """A channel that refuses a stream is not asked again, and its answers replace placeholders."""
    await slack.pull("fault", method="chat.startStream", kind="error", error=error, times=99)
    async with running(open_gateway):
        for number in (1, 2):
            await slack.say("hello")
            state = await slack.until_shown(*[HEARD] * number)
        assert [entry["text"] for entry in state.entries("posted")] == ["Thinking …"] * 2
        assert (state.calls["chat.startStream"], state.calls["chat.postMessage"]) == (1, 2)


async def test_channels_have_placeholders(open_gateway: Open, slack: FakeSlack) -> None:
    """A message in a channel is not answered in a stream, since only one person would see it grow."""
    async with running(open_gateway) as gateway:
        await slack.mention("hello")
        state = await answered(gateway, HEARD)
        assert "chat.startStream" not in state.calls


@pytest.mark.parametrize("kind", ["ratelimited", "unavailable", "cut", "lost", "error"])
@pytest.mark.parametrize("method", ["chat.startStream", "chat.appendStream", "chat.stopStream", "chat.update"])
async def test_failed_call_is_made_good(
    open_gateway: Open, slack: FakeSlack, clock: ManualClock, method: str, kind: str
) -> None:
    """The answer arrives once. Only a stream whose start was not answered is left behind, and it is empty."""
    await slack.pull("fault", method=method, kind=kind, error="internal_error", times=2)
    async with running(open_gateway, ScriptedEngine.slow(WORDS, 0.5, clock)) as gateway:
        await slack.say("hello")
        state = await answered(gateway, "w19 😐")
        left_behind = [""] if (method, kind) == ("chat.startStream", "lost") else []
        assert sorted(texts(state)) == [*left_behind, f"{WORDS} 😐"]
        assert len(state.streams) <= len(left_behind)


@pytest.mark.parametrize("error", ["stopped_by_user", "message_not_in_streaming_state"])
async def test_stream_that_another_stops_is_edited(
    open_gateway: Open, slack: FakeSlack, writer: Writer, error: str
) -> None:
    """After an append is refused, the rest of the preview is shown by edits."""
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
    """The next process, which does not know a stream's content, stops the stream and edits its message."""
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
    """A shutdown stops open streams, so that no message seems to be in progress."""
    async with running(open_gateway, ScriptedEngine.hanging(after=1)):
        await slack.say("hello")
        await slack.until(lambda state: len(state.streams) == 1)
    state = await slack.state()
    assert not state.streams
    assert len(state.bubbles()) == 1


async def test_answer_outlives_a_stream_that_is_deleted(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """The answer to a deleted stream is a new message."""
    async with running(open_gateway, writer.engine) as gateway:
        await slack.say("hello")
        state = await slack.until(lambda state: len(state.streams) == 1)
        await slack.pull("remove", channel="D1", ts=state.streams[0])
        writer.write("hello you")
        writer.end()
        assert texts(await answered(gateway, "hello you")) == ["hello you 😐"]


@pytest.mark.parametrize("kind", ["", "unavailable", "lost"])
async def test_answer_with_a_link_is_posted(open_gateway: Open, slack: FakeSlack, writer: Writer, kind: str) -> None:
    """An answer with links replaces the stream by a post, since only a post can be told to preview no links."""
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
    """A stream that cannot be deleted holds the answer, even if it has a link."""
    await slack.pull("fault", method="chat.delete", kind="error", error="cant_delete_message", times=9)
    async with running(open_gateway, ScriptedEngine.fixed("see example.com")) as gateway:
        await slack.say("hello")
        state = await answered(gateway, "example.com 😐")
        assert texts(state) == ["see example.com 😐"]


async def test_open_formats_wait_for_their_end(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """A format appears in the stream once it is closed, so that nothing that was appended has to change."""
    async with running(open_gateway, writer.engine) as gateway:
        await slack.say("hello")
        writer.write("try `a < b ")
        await shown(gateway, lambda state: grown(state) == ["try "])
        writer.write("< c` now **and ")
        await shown(gateway, lambda state: grown(state)[1:] == ["try `a < b < c` now "])
        writer.write("then**:\n\n```py\nx = 1\ny")
        await shown(gateway, lambda state: grown(state)[2:] == ["try `a < b < c` now **and then**:\n\n```py\nx = 1\n"])
        writer.end()
        state = await answered(gateway, "😐")
        assert texts(state) == ["try `a < b < c` now **and then**:\n\n```py\nx = 1\ny\n```\n\n😐"]
        assert len(edits(state)) == 1


async def test_a_table_ends_the_stream(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """The columns of a table move with each row, so the preview goes on as edits."""
    async with running(open_gateway, writer.engine) as gateway:
        await slack.say("hello")
        writer.write("so:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
        await shown(gateway, lambda state: len(grown(state)) == 1)
        writer.write("| 1000 | 2 |\n")
        await shown(gateway, lambda state: edits(state) == ["so:\n\n```\na    | b\n-----|--\n1    | 2\n1000 | 2\n```"])
        writer.end()
        assert texts(await answered(gateway, "😐")) == ["so:\n\n```\na    | b\n-----|--\n1    | 2\n1000 | 2\n```\n\n😐"]


async def test_a_file_name_does_not_end_the_stream(open_gateway: Open, slack: FakeSlack, writer: Writer) -> None:
    """A name of a file is no link, so the stream becomes the answer."""
    async with running(open_gateway, writer.engine) as gateway:
        await slack.say("hello")
        writer.write("Use the file setup.py in Node.js please ")
        await shown(gateway, lambda state: grown(state) == ["Use the file setup.py in Node.js please "])
        writer.end()
        state = await answered(gateway, "😐")
        assert texts(state) == ["Use the file setup.py in Node.js please 😐"]
        assert not state.entries("deleted")
        assert not state.entries("posted")[1:]


async def test_slacks_rate_limits_are_kept(open_gateway: Open, slack: FakeSlack) -> None:
    """Of many messages at once the first get streams and the others placeholders, within Slack's rate limits."""
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
