"""kill -9 at every step of answering a message on Slack, by Socket Mode and by HTTP."""

import asyncio
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bots.slack.posts import CLOCK_SKEW
from core.clock import ManualClock
from core.store import open_store
from tests.bots.gateway import LINKED, Note, Plan, free_port, whole_answer
from tests.fakes.slack.client import FakeSlack, State
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET
from tests.faults.fork_server import ForkServer

STEPS = (
    *("accept uncommitted", "accept committed", "claim_waiting uncommitted", "claim_waiting committed"),
    *("find_or_add uncommitted", "set_handle uncommitted", "set_handle committed"),
    *("finish uncommitted", "finish committed", "mark_delivered uncommitted", "mark_delivered committed"),
)
"""Where the gateway kills itself: after a verb of the store has run, or after its commit."""
CALLS = tuple(f"call {number} {kind}" for number in range(1, 10) for kind in ("silence", "mute"))
"""Where it is killed while Slack does not answer the n-th call, which had no effect (silence) or took effect (mute)."""
STREAMING = tuple(
    f"chat.{method} {kind}" for method in ("startStream", "stopStream", "delete") for kind in ("silence", "mute")
)
POSTS = {"chat.postMessage", "chat.startStream"}
WINDOW = {"set_handle uncommitted", "accept uncommitted", "accept committed"}
"""Between a message's being posted and its ts being kept: where a crash may leave it behind. A message is taken in
beside a turn that may be there.
"""
MODES = ("socket", "http")
SEEDS = range(4)
AGAIN = 0.2
"""Real seconds after which Slack says again what is not acknowledged."""


def takes_long(point: str, number: int, way: int, seed: int) -> bool:
    """False for one life at each step of a stream and each third other point, by alternating transports."""
    return (way, seed) != (number % 2, 0) or (point not in STREAMING and number % 3 > 0)


LIVES = [
    pytest.param(point, mode, seed, marks=[pytest.mark.long] * takes_long(point, number, way, seed))
    for number, point in enumerate((*STEPS, *STREAMING, *CALLS))
    for way, mode in enumerate(MODES)
    for seed in SEEDS
]
LATE = CLOCK_SKEW + 60
"""Seconds that the first life believes to have lived when it hears of anything: a newborn begins no streams."""


def answer(state: State, word: str) -> dict[str, str]:
    """The messages that hold the reply to a word, in order."""
    return {one["ts"]: one["text"] for one in state.bubbles() if one["text"].startswith(f"you said {word} ")}


def is_settled(state: State, words: list[str]) -> bool:
    answers = ["\n".join(answer(state, word).values()) for word in words]
    arrived = all(len(found) >= len(whole_answer(word)) for found, word in zip(answers, words, strict=True))
    return arrived and not state.unacknowledged()


@pytest.mark.parametrize(("point", "mode", "seed"), LIVES)
async def test_every_message_is_answered_once(
    slack: FakeSlack,
    fork_server: ForkServer,
    tmp_path: Path,
    record_property: Note,
    *,
    point: str,
    mode: str,
    seed: int,
) -> None:
    """After a kill and a restart the bot answers each message once, and remembers each exchange once."""
    chance = random.Random(f"{point} {mode} {seed}")
    words = [f"w{number}x{chance.choice((1, 2, 27)) if number else LINKED}" for number in range(chance.randint(3, 5))]
    port, log, database = free_port(), tmp_path / "log", f"sqlite:///{tmp_path}/parley.db"
    plan = Plan(platform="slack", settings=settings(slack, mode), port=port, database=database)
    await slack.pull("advance", seconds=time.time() - ManualClock().now())
    await slack.pull("rules", http=f"http://127.0.0.1:{port}/slack/events" if mode == "http" else "")
    await slack.pull("insist", seconds=AGAIN)
    for number, word in enumerate(words):
        await ask(slack, word, chance, alone=number == 0 or chance.random() < 0.5)
    first = replace(plan, late=LATE)
    if point in STEPS:
        pid = await fork_server.start(replace(first, point=point, hit=chance.randint(1, len(words))), log)
    else:
        method, kind = point.rsplit(maxsplit=1)
        which = {"method": "*", "skip": int(method.split()[1]) - 1} if point in CALLS else {"method": method}
        await slack.pull("fault", **which, kind=kind)
        pid = await fork_server.start(first, log)
        await slack.until(lambda state: state.entries("unanswered") != [])
        os.kill(pid, signal.SIGKILL)
    assert await fork_server.wait(pid) == -signal.SIGKILL, log.read_text()
    pid = await fork_server.start(plan, log)
    await slack.until(lambda state: is_settled(state, words))
    os.kill(pid, signal.SIGTERM)
    assert await fork_server.wait(pid) == 0, log.read_text()
    state = await slack.state()
    assert ["\n".join(answer(state, word).values()) for word in words] == [whole_answer(word) for word in words]
    finals = set().union(*(answer(state, word) for word in words))
    orphans = {bubble["ts"] for bubble in state.bubbles()} - finals
    is_in_window = point in WINDOW or any(
        entry["kind"] == "mute" and entry["method"] in POSTS for entry in state.entries("unanswered")
    )
    record_property("messages", len(words))
    record_property("orphans", len(orphans))
    assert len(orphans) <= is_in_window
    assert await remembered(database) == words


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", ["delete uncommitted", "delete committed", "remove uncommitted", "remove committed"])
async def test_a_deleted_message_leaves_nothing(
    slack: FakeSlack, fork_server: ForkServer, tmp_path: Path, point: str, mode: str
) -> None:
    """After a kill and a restart neither the answer to a deleted message is shown, nor is anything stored of it."""
    port, log, database = free_port(), tmp_path / "log", f"sqlite:///{tmp_path}/parley.db"
    plan = Plan(platform="slack", settings=settings(slack, mode), port=port, database=database)
    await slack.pull("advance", seconds=time.time() - ManualClock().now())
    await slack.pull("rules", http=f"http://127.0.0.1:{port}/slack/events" if mode == "http" else "")
    await slack.pull("insist", seconds=AGAIN)
    ts = await slack.say("w0x1", channel="D1")
    pid = await fork_server.start(replace(plan, late=LATE, point=point), log)
    await slack.until(lambda state: is_settled(state, ["w0x1"]))
    gone = {"type": "message", "subtype": "message_deleted", "hidden": True, "channel": "D1", "ts": ts}
    before = {"user": "U1", "text": "w0x1", "ts": ts}
    await slack.pull("event", event={**gone, "channel_type": "im", "deleted_ts": ts, "previous_message": before})
    assert await fork_server.wait(pid) == -signal.SIGKILL, log.read_text()
    pid = await fork_server.start(plan, log)
    await slack.until(lambda state: not state.bubbles() and not state.unacknowledged())
    async with open_store(database) as store:
        while await store.run(lambda c: c.scalars(sa.text("SELECT text FROM turns")).all()):
            await asyncio.sleep(AGAIN)
    os.kill(pid, signal.SIGTERM)
    assert await fork_server.wait(pid) == 0, log.read_text()


def settings(slack: FakeSlack, mode: str) -> dict[str, str]:
    way = {"app_token": APP_TOKEN} if mode == "socket" else {"signing_secret": SIGNING_SECRET}
    return {"bot_token": BOT_TOKEN, "base_url": f"{slack.url}/api"} | way


async def ask(slack: FakeSlack, word: str, chance: random.Random, *, alone: bool) -> None:
    """Write a direct message, which is answered in a stream, or a mention, which comes as two events."""
    if alone:
        await slack.say(word, channel=chance.choice(("D1", "D2")))
    else:
        await slack.mention(word, user=chance.choice(("U1", "U2")))


async def remembered(database: str) -> list[str]:
    """The questions in all histories. Every turn must have a reply."""
    async with open_store(database) as store:
        kept = await store.run(lambda c: c.scalars(sa.text("SELECT text FROM turns WHERE remembered")).all())
        states = await store.run(lambda c: c.scalars(sa.text("SELECT DISTINCT state FROM turns")).all())
    assert {*states} <= {"answered", "delivered"}
    return sorted(kept)
