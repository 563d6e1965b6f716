"""Answers arrive once, despite failures of Slack, the network and the process."""

import asyncio
import re
from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from core.engine.scripted import ScriptedEngine
from core.store import Store
from tests.bots.slack.conftest import Gateway, Open
from tests.fakes.slack.client import FakeSlack, State

HEARD = "I heard: hello 😐"


def texts(state: State) -> list[str]:
    return [bubble["text"] for bubble in state.bubbles()]


async def undelivered(store: Store) -> int:
    return int(await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM turns WHERE state <> 'delivered'"))))


async def until_delivered(gateway: Gateway) -> State:
    """Advance time until every turn is delivered."""
    while await undelivered(gateway.store):
        await gateway.advance(1)
    return await gateway.slack.state()


@pytest.mark.parametrize("kind", ["ratelimited", "unavailable", "cut", "lost", "error"])
@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
async def test_failed_call_is_made_good(open_gateway: Open, slack: FakeSlack, method: str, kind: str) -> None:
    """A refused, failed, unsent or unanswered call delays the answer; one message is shown."""
    await slack.pull("fault", method=method, kind=kind, error="internal_error", times=2)
    async with open_gateway() as gateway:
        await slack.say("hello")
        await gateway.until(lambda state: len(state.bubbles()) > 0)
        state = await until_delivered(gateway)
        assert texts(state) == [HEARD]


async def test_placeholder_is_found_after_a_crash(open_gateway: Open, slack: FakeSlack) -> None:
    """A placeholder that was posted before a crash but not committed is found by its tag."""
    await slack.pull("fault", method="chat.postMessage", kind="lost")
    async with open_gateway():
        await slack.say("hello")
        await slack.until(lambda state: len(state.bubbles()) == 1)
    async with open_gateway() as gateway:
        state = await until_delivered(gateway)
        assert texts(state) == [HEARD]


async def test_placeholder_is_doubled_rather_than_the_answer_lost(open_gateway: Open, slack: FakeSlack) -> None:
    """Without permission to read the thread, one "Thinking" is left behind and the answer still arrives."""
    await slack.pull("fault", method="chat.postMessage", kind="lost")
    await slack.pull("fault", method="conversations.replies", kind="error", error="missing_scope", times=99)
    async with open_gateway() as gateway:
        await slack.say("hello")
        await gateway.until(lambda state: len(state.bubbles()) == 2)
        state = await until_delivered(gateway)
        assert sorted(texts(state)) == [HEARD, "Thinking …"]


async def test_answer_goes_on_in_its_message_after_a_restart(open_gateway: Open, slack: FakeSlack) -> None:
    """A reply that a restart interrupts is written into the same message by the next process."""
    async with open_gateway(ScriptedEngine.hanging(after=1)):
        await slack.say("hello")
        await slack.until(lambda state: len(state.bubbles()) == 1)
    async with open_gateway() as gateway:
        state = await until_delivered(gateway)
        assert texts(state) == [HEARD]


async def test_redelivered_event_is_answered_once(open_gateway: Open, slack: FakeSlack) -> None:
    """The same message under a new event id is acknowledged and not answered again, also after a restart."""
    async with open_gateway():
        ts = await slack.say("hello")
        await slack.until_shown(HEARD)
        again = {"type": "message", "channel": "D1", "channel_type": "im", "user": "U1", "text": "hello", "ts": ts}
        await slack.pull("event", event=again)
    async with open_gateway() as gateway:
        await slack.pull("event", event=again)
        state = await gateway.until(lambda state: not state.unacknowledged())
        assert texts(state) == [HEARD]
        assert not gateway.engine.prompts


async def test_a_limit_of_posts_is_obeyed_in_its_channel(open_gateway: Open, slack: FakeSlack) -> None:
    """During the Retry-After of a post nothing is posted in the channel, while other channels are served."""
    await slack.pull("fault", method="chat.postMessage", kind="ratelimited", retry_after=30)
    async with open_gateway() as gateway:
        await slack.say("hello")
        await slack.until(lambda state: state.calls.get("chat.postMessage", 0) == 1)
        await slack.say("hello", user="U3")
        await slack.say("hello", channel="D2", user="U2")
        await slack.until(lambda state: [b["text"] for b in state.bubbles("D2")] == [HEARD])
        await wait(gateway, 29)
        state = await slack.state()
        assert (state.bubbles("D1"), state.calls["chat.postMessage"]) == ([], 2)
        state = await until_delivered(gateway)
        assert [bubble["text"] for bubble in state.bubbles("D1")] == [HEARD, HEARD]


async def test_a_limit_of_edits_is_obeyed_in_the_workspace(open_gateway: Open, slack: FakeSlack) -> None:
    """During the Retry-After of an edit none is made in any channel, while placeholders are posted."""
    await slack.pull("fault", method="chat.update", kind="ratelimited", retry_after=30)
    async with open_gateway() as gateway:
        await slack.say("hello")
        await slack.until(lambda state: state.calls.get("chat.update", 0) == 1)
        await slack.say("hello", channel="D2", user="U2")
        await slack.until(lambda state: len(state.bubbles()) == 2)
        await wait(gateway, 29)
        state = await slack.state()
        assert (texts(state), state.calls["chat.update"]) == (["Thinking …"] * 2, 1)
        assert texts(await until_delivered(gateway)) == [HEARD, HEARD]


@pytest.mark.parametrize("retry_after", [12, 60])
async def test_a_limit_of_reading_delays_no_answer(open_gateway: Open, slack: FakeSlack, retry_after: int) -> None:
    """If Slack limits the reading of threads, a mention in one is answered at once, without the thread."""
    await slack.pull("fault", method="conversations.replies", kind="ratelimited", retry_after=retry_after)
    async with open_gateway() as gateway:
        thread = await slack.say("We leave at nine.", channel="C1")
        await slack.mention("hello", thread_ts=thread)
        await slack.until_shown(HEARD)
        assert gateway.clock.monotonic() == 0


async def test_a_post_in_doubt_waits_until_the_thread_can_be_read(open_gateway: Open, slack: FakeSlack) -> None:
    """If an earlier post may have succeeded, the limit of reading is waited out, and there is one placeholder."""
    await slack.pull("fault", method="chat.postMessage", kind="lost")
    await slack.pull("fault", method="conversations.replies", kind="ratelimited", retry_after=30, skip=1)
    async with open_gateway() as gateway:
        await slack.say("hello")
        await slack.until(lambda state: len(state.bubbles()) == 1)
        state = await until_delivered(gateway)
        assert gateway.clock.monotonic() >= 30
        assert (texts(state), state.calls["chat.postMessage"]) == ([HEARD], 1)


async def wait(gateway: Gateway, seconds: int) -> None:
    for _ in range(seconds):
        await gateway.advance(1)
        await undelivered(gateway.store)


@pytest.mark.parametrize("method", ["chat.postMessage", "chat.update"])
@pytest.mark.parametrize("error", ["channel_not_found", "is_archived", "not_in_channel"])
async def test_rejecting_channel_ends_the_turn(open_gateway: Open, slack: FakeSlack, method: str, error: str) -> None:
    """A channel that rejects messages ends the turn without retries, and other channels are served."""
    await slack.pull("fault", method=method, kind="error", error=error)
    async with open_gateway() as gateway:
        await slack.say("lost")
        await slack.until(lambda state: state.calls.get(method, 0) == 1)
        await until_delivered(gateway)
        await slack.say("hello", channel="D2")
        await slack.until(lambda state: [b["text"] for b in state.bubbles("D2")] == [HEARD])


async def test_answer_waits_for_a_usable_token(open_gateway: Open, slack: FakeSlack) -> None:
    """A refused token is tried again after five minutes, and the answer then arrives."""
    await slack.pull("fault", method="chat.update", kind="error", error="token_revoked")
    async with open_gateway() as gateway:
        await slack.say("hello")
        await slack.until(lambda state: state.calls.get("chat.update", 0) == 1)
        state = await gateway.until(lambda state: state.calls.get("chat.update", 0) == 2, step=30)
        assert gateway.clock.monotonic() >= 300
        state = await until_delivered(gateway)
        assert texts(state) == [HEARD]


@pytest.mark.parametrize("kind", ["unavailable", "lost"])
async def test_deleted_placeholder_is_replaced(open_gateway: Open, slack: FakeSlack, clock: Any, kind: str) -> None:  # noqa: ANN401
    """If a person deletes the placeholder, the answer is posted as a new message, once, even if a post fails."""
    async with open_gateway(ScriptedEngine.slow("hello you", 1.0, clock)) as gateway:
        await slack.say("hello")
        state = await slack.until(lambda state: len(state.bubbles()) == 1)
        await slack.pull("remove", channel="D1", ts=state.bubbles()[0]["ts"])
        await slack.pull("fault", method="chat.postMessage", kind=kind)
        state = await until_delivered_after(gateway, "hello you")
        assert texts(state) == ["hello you 😐"]


@pytest.mark.parametrize("where", ["hello {}", "`{}`", "```\n{}\n```", "```{}"])
async def test_no_one_is_notified(open_gateway: Open, slack: FakeSlack, where: str) -> None:
    """A model that repeats mentions and links notifies no one and unfurls no link, in previews, answers and notices."""
    pings = "<!channel> <!here> <!everyone> <@U2> <!subteam^S1> https://evil.example"
    written = where.format(pings).replace("<", "&lt;").replace(">", "&gt;")
    async with open_gateway(ScriptedEngine.echo()) as gateway:
        await slack.say(written)
        state = await until_delivered_after(gateway, "user: ")
        shown = state.entries("posted") + state.entries("edited")
        assert "<!channel>" in shown[-1]["text"].replace("\u2060", "")
        assert [entry["pings"] for entry in shown] == [[]] * len(shown)
        assert not any(entry["previews_links"] for entry in shown)


TABLE = "| Name | Qty |\n|---|---|\n" + "\n".join(f"| row {number} | {number} |" for number in range(300))


@pytest.mark.parametrize("answer", ["**very** long. " * 200, "# Title\n\n" + "- `point`\n" * 60])
async def test_a_screen_reader_hears_the_whole_answer(open_gateway: Open, slack: FakeSlack, answer: str) -> None:
    """Beside the blocks of an answer stands the text of all of them, without Markdown."""
    async with open_gateway(ScriptedEngine.fixed(answer)) as gateway:
        await slack.mention("hello")
        state = await until_delivered_after(gateway, "😐")
    (bubble,) = state.bubbles()
    words = answer.replace("**", "").replace("# ", "").replace("`", "")
    assert bubble["spoken"].split() == [*words.split(), "😐"]


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ("Here you go:\n\n```python\nprint(1)\n```", "```\n\n😐"),
        ("~~~python\nif a < b & c:\n    pass\n~~~\n\n    x <y> & z", "if a < b & c:\n    pass\n"),
        ("~~~python\nif a < b & c:\n    pass\n~~~\n\n    x <y> & z", "\nx <y> & z\n"),
    ],
)
async def test_code_is_shown_as_written(open_gateway: Open, slack: FakeSlack, answer: str, shown: str) -> None:
    """Code of every form is shown unchanged, and the mood below it."""
    async with open_gateway(ScriptedEngine.fixed(answer)) as gateway:
        await slack.mention("hello")
        state = await until_delivered_after(gateway, "😐")
    assert shown in texts(state)[0]


async def test_each_message_of_a_table_has_its_head(open_gateway: Open, slack: FakeSlack) -> None:
    """A table that is longer than a message goes on in the next one below its header."""
    async with open_gateway(ScriptedEngine.fixed(TABLE)) as gateway:
        await slack.mention("hello")
        state = await until_delivered_after(gateway, "😐")
    assert len(texts(state)) > 1
    assert all(re.match(r"```\nName +\| Qty\n-+\|-+\n", text) for text in texts(state))


async def until_delivered_after(gateway: Gateway, words: str) -> State:
    await gateway.until(lambda state: any(words in text for text in texts(state)))
    return await until_delivered(gateway)


async def test_long_answer_comes_in_parts(open_gateway: Open, slack: FakeSlack) -> None:
    """An answer over Slack's limit continues in further messages, each posted once, with the buttons under the last."""
    words = [f"word{number}" for number in range(4_000)]
    async with open_gateway(ScriptedEngine.fixed(" ".join(words))) as gateway:
        await slack.say("hello")
        await slack.until(lambda state: len(state.bubbles()) == 1)
        await slack.pull("fault", method="chat.postMessage", kind="lost")
        state = await until_delivered(gateway)
        assert " ".join(texts(state)).split() == [*words, "😐"]
        assert [bool(bubble["buttons"]) for bubble in state.bubbles()] == [False] * (len(state.bubbles()) - 1) + [True]


@pytest.mark.parametrize("error", ["msg_too_long", "msg_blocks_too_long"])
async def test_answer_that_slack_finds_too_long_is_cut_smaller(
    open_gateway: Open, slack: FakeSlack, error: str
) -> None:
    """A message that Slack finds too long is posted in smaller parts, since not all limits are documented."""
    await slack.pull("shorten", longest=4_000, error=error)
    words = " ".join(["word"] * 1_200)
    async with open_gateway(ScriptedEngine.fixed(words)) as gateway:
        await slack.say("hello")
        state = await until_delivered_after(gateway, "word")
        assert len(state.bubbles()) > 1
        assert " ".join(texts(state)).count("word") == 1_200


@pytest.mark.parametrize(
    ("rejected", "actions"),
    [
        ([], ["vote", "vote", "again"]),
        (["context_actions"], ["vote:up", "vote:down", "again"]),
        (["markdown"], []),
    ],
)
async def test_rejected_blocks_have_plainer_forms(
    open_gateway: Open, slack: FakeSlack, rejected: list[str], actions: list[str]
) -> None:
    """A workspace that rejects feedback buttons gets ordinary buttons, or the text without buttons."""
    await slack.pull("rules", rejected_blocks=rejected)
    async with open_gateway() as gateway:
        await slack.say("hello")
        state = await until_delivered_after(gateway, HEARD)
        (bubble,) = state.bubbles()
        assert [button["action"] for button in bubble["buttons"]] == actions


async def test_previews_are_few_edits(open_gateway: Open, slack: FakeSlack, clock: Any) -> None:  # noqa: ANN401
    """A reply that takes a minute grows in a handful of edits, and Slack shows that the bot is processing."""
    engine = ScriptedEngine.slow(" ".join(f"w{number}" for number in range(60)), 1.0, clock)
    async with open_gateway(engine) as gateway:
        thread = await slack.say("hello")
        state = await gateway.until(lambda state: any("w59" in text for text in texts(state)))
        edits = [entry["text"] for entry in state.entries("edited")]
        assert 4 <= len(edits) <= 9
        assert all(len(earlier) <= len(later) for earlier, later in pairwise(edits))
        state = await until_delivered(gateway)
        state = await gateway.until(lambda state: len(state.entries("session")) == 2)
        assert [entry["status"] for entry in state.entries("session")] == ["processing", "active"]
        assert {entry["thread_ts"] for entry in state.entries("session")} == {thread}


@pytest.mark.parametrize("kind", ["ratelimited", "unavailable", "error"])
async def test_failing_previews_are_skipped(open_gateway: Open, slack: FakeSlack, clock: Any, kind: str) -> None:  # noqa: ANN401
    """A failed preview or status of the session is skipped; the next preview and the answer arrive."""
    for method in ("chat.update", "agents.sessions.setStatus"):
        await slack.pull("fault", method=method, kind=kind, error="not_allowed", retry_after=2, times=1)
    engine = ScriptedEngine.slow("one two three four five six seven eight nine ten", 1.0, clock)
    async with open_gateway(engine) as gateway:
        await slack.say("hello")
        await gateway.until(lambda state: any("ten" in text for text in texts(state)))
        state = await until_delivered(gateway)
        assert texts(state) == ["one two three four five six seven eight nine ten 😐"]
        assert state.entries("edited")[0]["text"].endswith(("seven", "eight", "nine"))


async def test_slacks_rate_limits_are_kept(open_gateway: Open, slack: FakeSlack) -> None:
    """Twenty people at once are all answered within Slack's own rate limits."""
    await slack.pull("rules", limited=True)
    async with open_gateway() as gateway:
        for number in range(20):
            await slack.say("hello", user=f"U{number + 10}")
        state = await gateway.until(lambda state: texts(state) == [HEARD] * 20)
        await asyncio.wait_for(until_delivered(gateway), 20)
        assert not [bubble for bubble in state.bubbles() if bubble["text"] != HEARD]


@pytest.mark.parametrize("kind", ["expired", "foreign"])
async def test_command_without_a_response_url_ends(open_gateway: Open, slack: FakeSlack, kind: str) -> None:
    """An expired response URL, or one that is not Slack's, ends the turn without another call."""
    async with open_gateway() as gateway:
        if kind == "expired":
            await slack.pull("rules", spent_responses=True)
            await slack.pull("command", channel="C1", user="U1", command="/parley", text="help")
        else:
            body = {"command": "/parley", "text": "help", "user_id": "U1", "channel_id": "C1", "trigger_id": "t"}
            await slack.pull("payload", kind="slash_commands", body=body | {"response_url": "http://evil.example/x"})
        await slack.until(lambda state: len(state.sendings) == 1 and not state.unacknowledged())
        state = await until_delivered(gateway)
        assert not state.entries("response")
