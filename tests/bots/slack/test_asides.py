"""Personal answers reach only the person who asked: ephemerally, by direct message, or as a file there."""

import json
from typing import Any

import pytest

from bots.slack.asides import PRESENT_SECONDS
from core.i18n import say
from tests.bots.slack.conftest import Gateway, Open
from tests.bots.slack.test_delivery import texts, undelivered, until_delivered
from tests.fakes.slack.client import FakeSlack, State

SECRET = "my canary sings at night"
LONG = f"{SECRET} {'w' * 5_000}"
NOTE = say("en", "private.file")


async def tell(gateway: Gateway, words: str) -> None:
    """Tell the bot something in a direct message, so that there is something to export."""
    await gateway.slack.say(words)
    await gateway.until(lambda state: "I heard" in "".join(texts(state)))
    await until_delivered(gateway)


async def answered(gateway: Gateway) -> State:
    """The state once a new question is accepted and answered."""
    await gateway.until(lambda state: not state.unacknowledged())
    return await until_delivered(gateway)


def in_channel(state: State) -> list[dict[str, Any]]:
    """What everybody in the channel sees of the bot."""
    return [entry for entry in state.journal if entry.get("channel") == "C1" and entry["what"] in {"posted", "shared"}]


@pytest.mark.parametrize("typed", ["!export", "!stats", "!mood off", "!lang en", "!forget"])
async def test_a_personal_answer_in_a_channel_is_ephemeral(open_gateway: Open, slack: FakeSlack, typed: str) -> None:
    """What a person asks about themselves in a channel is shown to them alone, in the channel."""
    async with open_gateway() as gateway:
        await tell(gateway, SECRET)
        await slack.mention(typed)
        state = await answered(gateway)
        (said,) = state.entries("whispered")
        assert (said["channel"], said["user"], said["thread_ts"]) == ("C1", "U1", "")
        assert (SECRET in said["text"]) == (typed == "!export")
        assert not in_channel(state)


async def test_in_a_thread_it_is_shown_in_the_thread(open_gateway: Open, slack: FakeSlack) -> None:
    """An ephemeral message appears in the thread of its question if the question is a reply there."""
    async with open_gateway() as gateway:
        thread = await slack.say("the first", channel="C1", user="U2")
        await slack.mention("!stats", thread_ts=thread)
        state = await answered(gateway)
        (said,) = state.entries("whispered")
        assert said["thread_ts"] == thread
        assert not in_channel(state)


async def test_other_answers_stay_in_the_channel(open_gateway: Open, slack: FakeSlack) -> None:
    """The model's answer to a question about oneself, and !help, are posted where they were asked."""
    async with open_gateway() as gateway:
        for asked in ("what do you know about me?", "!help"):
            await slack.mention(asked)
            await answered(gateway)
        state = await slack.state()
        assert not state.entries("whispered")
        assert len(state.bubbles("C1")) == 2


@pytest.mark.parametrize("late", [0.0, PRESENT_SECONDS])
@pytest.mark.parametrize("outsiders", [[], ["U1"]])
async def test_who_cannot_see_it_gets_a_direct_message(
    open_gateway: Open, slack: FakeSlack, late: float, outsiders: list[str]
) -> None:
    """A person who is not in the channel, or has asked some time ago, is answered in their direct messages."""
    await slack.pull("forbid", outsiders=outsiders)
    await slack.mention("!stats")
    async with open_gateway(listening=False) as gateway:
        gateway.clock.advance(late)
        await gateway.until(lambda state: state.calls.get("auth.test", 0) > 0, step=0)
        state = await answered(gateway)
        assert len(state.entries("whispered")) == (not late and not outsiders)
        assert len(state.bubbles("D1")) == (late > 0 or outsiders != [])
        assert "Messages: 0 answered" in (state.entries("whispered") or state.bubbles("D1"))[0]["text"]
        assert not in_channel(state)


async def test_a_long_one_is_a_file_in_the_direct_messages(open_gateway: Open, slack: FakeSlack) -> None:
    """An export from a channel that is longer than a message is one file below one direct message."""
    async with open_gateway() as gateway:
        await tell(gateway, LONG)
        await slack.mention("!export")
        state = await answered(gateway)
        (shared,) = state.entries("shared")
        note = state.bubbles("D1")[-1]
        assert (shared["channel"], shared["thread_ts"], shared["name"]) == ("D1", note["ts"], "parley-export.json")
        assert [row["text"] for row in json.loads(shared["text"])] == [LONG]
        assert note["text"] == NOTE
        assert not in_channel(state)
        assert not state.entries("whispered")


async def test_a_long_one_is_a_file_where_it_is_private_anyway(open_gateway: Open, slack: FakeSlack) -> None:
    """A long export that is asked for in a direct message is a file in the thread of the question."""
    async with open_gateway() as gateway:
        await tell(gateway, LONG)
        thread = await slack.say("!export")
        state = await answered(gateway)
        (shared,) = state.entries("shared")
        assert (shared["channel"], shared["thread_ts"]) == ("D1", thread)
        assert texts(state)[-1] == NOTE


async def test_a_long_answer_to_a_slash_command_is_a_file(open_gateway: Open, slack: FakeSlack) -> None:
    """`/parley export` is answered ephemerally if it is short, and by a file in the direct messages if it is not."""
    async with open_gateway() as gateway:
        await tell(gateway, SECRET)
        await slack.pull("command", channel="C1", user="U1", command="/parley", text="export")
        (said,) = (await answered(gateway)).entries("response")
        assert SECRET in said["text"]
        await slack.say(LONG, channel="D1")
        await answered(gateway)
        await slack.pull("command", channel="C1", user="U1", command="/parley", text="export")
        state = await answered(gateway)
        assert len(state.entries("response")) == 1
        (shared,) = state.entries("shared")
        assert LONG in shared["text"]
        assert not in_channel(state)


async def test_an_expired_response_url_loses_no_personal_answer(open_gateway: Open, slack: FakeSlack) -> None:
    """If the response URL is not good any more, the answer is a direct message."""
    await slack.pull("rules", spent_responses=True)
    async with open_gateway() as gateway:
        await slack.pull("command", channel="C1", user="U1", command="/parley", text="stats")
        state = await answered(gateway)
        assert "Messages: 0 answered" in state.bubbles("D1")[0]["text"]


@pytest.mark.parametrize("where", ["C1", "D1"])
@pytest.mark.parametrize("refusal", ["scope", "upload", "share"])
async def test_without_the_scope_it_comes_in_parts(
    open_gateway: Open, slack: FakeSlack, refusal: str, where: str
) -> None:
    """If Slack refuses the file, the export comes as several direct messages."""
    method = "files.completeUploadExternal" if refusal == "share" else "files.getUploadURLExternal"
    async with open_gateway() as gateway:
        await tell(gateway, LONG)
        if refusal == "upload":
            await slack.pull("forbid", uploads=True)
        else:
            await slack.pull("fault", method=method, kind="error", error="missing_scope", times=99)
        known = len(texts(await slack.state()))
        await (slack.mention("!export") if where == "C1" else slack.say("!export"))
        state = await answered(gateway)
        (row,) = json.loads("".join(texts(state)[known:]))
        assert row["text"] == LONG
        assert not state.entries("shared")
        assert not in_channel(state)


async def test_without_direct_messages_it_comes_in_parts_where_it_was_asked(
    open_gateway: Open, slack: FakeSlack
) -> None:
    """If the app may not write direct messages either, the parts are ephemeral."""
    async with open_gateway() as gateway:
        await tell(gateway, LONG)
        await slack.pull("forbid", unreachable=["U1"])
        await slack.mention("!export")
        state = await answered(gateway)
        assert LONG in "".join(said["text"] for said in state.entries("whispered"))
        assert not in_channel(state)


@pytest.mark.parametrize("words", [SECRET, LONG], ids=["short", "long"])
@pytest.mark.parametrize("kind", ["cut", "lost"])
@pytest.mark.parametrize("number", range(6))
async def test_a_failure_at_any_call_loses_and_doubles_nothing(
    open_gateway: Open, slack: FakeSlack, number: int, kind: str, words: str
) -> None:
    """If any call fails, also one that took effect, the process or the next one delivers the export once.

    An ephemeral message may come twice, and one placeholder may be left behind.
    """
    async with open_gateway() as gateway:
        await tell(gateway, words)
        await slack.pull("fault", method="*", kind=kind, skip=number)
        await slack.mention("!export")
        await gateway.until(lambda state: not state.unacknowledged())
        if number % 2:
            await until_delivered(gateway)
    async with open_gateway(listening=False) as gateway:
        await slack.pull("mend")
        while await undelivered(gateway.store):
            await gateway.advance(1)
        state = await slack.state()
    whispered, shared = state.entries("whispered"), state.entries("shared")
    direct = [text for text in texts(state) if SECRET in text and "I heard" not in text[:10]]
    if words == LONG:
        assert [len(shared), len(whispered), len(direct)] == [1, 0, 0]
    else:
        assert len(shared) == 0
        assert 1 <= len(whispered) + len(direct) <= 2
    assert not in_channel(state)
