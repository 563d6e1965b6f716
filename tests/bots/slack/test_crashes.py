"""kill -9 at every step of answering a message on Slack, by Socket Mode and by HTTP."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bots.slack.handle import Handle
from bots.slack.posts import CLOCK_SKEW
from core.clock import ManualClock
from core.store import open_store
from tests.bots.gateway import LINKED, Note, Plan, whole_answer
from tests.bots.lives import GIVEN_UP, SEEDS, STEPS, Lives
from tests.fakes.slack.client import FakeSlack, State
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET
from tests.faults.fork_server import ForkServer
from tests.ports import free_port

CALLS = tuple(f"call {number} {kind}" for number in range(1, 10) for kind in ("silence", "mute"))
"""Where it is killed while Slack does not answer the n-th call, which had no effect (silence) or took effect (mute)."""
STREAMING = tuple(
    f"chat.{method} {kind}" for method in ("startStream", "stopStream", "delete") for kind in ("silence", "mute")
)
MODES = ("socket", "http")
AGAIN = 0.2
"""Real seconds after which Slack says again what is not acknowledged."""


def takes_long(point: str, number: int, way: int, seed: int) -> bool:
    """False for one life at each step of a stream and each third other point, by alternating transports."""
    return (way, seed) != (number % 2, 0) or (point not in STREAMING and number % 3 > 0)


LIVES = [
    pytest.param(point, mode, seed, marks=[pytest.mark.long] * takes_long(point, number, way, seed))
    for number, point in enumerate((*STEPS, *STREAMING, *CALLS))
    for way, mode in enumerate(MODES)
    for seed in range(SEEDS)
]
LATE = CLOCK_SKEW + 60
"""Seconds that the first life believes to have lived when it hears of anything: a newborn begins no streams."""


def answer(state: State, word: str) -> dict[str, str]:
    """The messages that hold the reply to a word, in order."""
    return {one["ts"]: one["text"] for one in state.bubbles() if one["text"].startswith(f"you said {word} ")}


def messages(state: State) -> set[str]:
    return {bubble["ts"] for bubble in state.bubbles()}


def apologies(state: State) -> set[str]:
    """The messages that say that a question was given up, because the bot died of it twice."""
    return {bubble["ts"] for bubble in state.bubbles() if bubble["text"] in GIVEN_UP}


def is_settled(state: State, words: Sequence[str]) -> bool:
    open_ = [word for word in words if len("\n".join(answer(state, word).values())) < len(whole_answer(word))]
    return len(open_) <= len(apologies(state)) and not state.unacknowledged()


@pytest.mark.parametrize(("point", "mode", "seed"), LIVES)
async def test_every_message_is_answered_once(  # noqa: PLR0913  most are fixtures
    slack: FakeSlack,
    fork_server: ForkServer,
    tmp_path: Path,
    database: str,
    record_property: Note,
    *,
    point: str,
    mode: str,
    seed: int,
) -> None:
    """After a kill and a restart the bot answers each message once, and remembers each exchange once."""
    chance = random.Random(f"{point} {mode} {seed}")
    case = Case(slack=slack, fork_server=fork_server, folder=tmp_path, database=database, mode=mode, chance=chance)
    await case.ask_all()
    await case.crash(point)
    await case.live()
    await case.check(record_property)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4 * SEEDS))
@pytest.mark.parametrize("mode", MODES)
async def test_a_crash_of_the_recovery_changes_nothing(
    slack: FakeSlack,
    fork_server: ForkServer,
    tmp_path: Path,
    database: str,
    record_property: Note,
    *,
    mode: str,
    seed: int,
) -> None:
    """The bot is killed again after its restart, at another step, if it comes to that.

    It gives up on the question that it was answering both times, and says so.
    """
    chance = random.Random(f"{mode} {seed}")
    case = Case(slack=slack, fork_server=fork_server, folder=tmp_path, database=database, mode=mode, chance=chance)
    await case.ask_all()
    await case.crash(chance.choice((*STEPS, *STREAMING, *CALLS)))
    await case.live(chance.choice(STEPS))
    await case.live()
    await case.check(record_property, given_up=1)


class Case(Lives[str]):
    """A bot that is asked in random channels."""

    def __init__(
        self,
        *,
        slack: FakeSlack,
        fork_server: ForkServer,
        folder: Path,
        database: str,
        mode: str,
        chance: random.Random,
    ) -> None:
        lines = (chance.choice((1, 2, 27)) if number else LINKED for number in range(chance.randint(3, 5)))
        words = [f"w{number}x{count}" for number, count in enumerate(lines)]
        plan = Plan(platform="slack", settings=settings(slack, mode), port=free_port(), database=database)
        super().__init__(words=words, plan=plan, fork_server=fork_server, log=folder / "log")
        self._url = f"http://127.0.0.1:{plan.port}/slack/events" if mode == "http" else ""
        self._chance = chance
        self._slack = slack

    async def ask_all(self) -> None:
        await self._slack.pull("advance", seconds=time.time() - ManualClock().now())
        await self._slack.pull("rules", http=self._url)
        await self._slack.pull("insist", seconds=AGAIN)
        for number, word in enumerate(self.words):
            await ask(self._slack, word, self._chance, alone=number == 0 or self._chance.random() < 0.5)

    async def crash(self, point: str) -> None:
        """A life that is killed at a step, or while a call is not answered."""
        if point in STEPS:
            pid = await self.start(point, self._chance.randint(1, len(self.words)), late=LATE)
        else:
            method, kind = point.rsplit(maxsplit=1)
            which = {"method": "*", "skip": int(method.split()[1]) - 1} if point in CALLS else {"method": method}
            await self._slack.pull("fault", **which, kind=kind)
            pid = await self.start(late=LATE)
            await self._slack.until(lambda state: state.entries("unanswered") != [])
            os.kill(pid, signal.SIGKILL)
        await self.until_killed(pid)

    async def until_settled(self) -> None:
        await self._slack.until(lambda state: is_settled(state, self.words))

    async def unsaved(self, handles: Sequence[str]) -> set[str]:
        kept = {Handle.parse(text).ts for text in handles}
        state = await self._slack.state()
        return messages(state).difference(kept, *(answer(state, word) for word in self.words))

    async def check(self, record_property: Note, *, given_up: int = 0) -> None:
        """Check what is shown and remembered."""
        state = await self._slack.state()
        answered = self.check_shown(
            record_property,
            messages=messages(state),
            apologies=apologies(state),
            answers={word: answer(state, word) for word in self.words},
            given_up=given_up,
        )
        assert await remembered(self.plan.database) == answered


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
