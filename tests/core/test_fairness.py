"""Waiting times of many people beside a flooder, on a manual clock."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from core.accepting import Accepted, Refused
from core.admission import Admission
from core.clock import ManualClock
from core.delivery import Claim
from core.errors import Busy, DeliveryRejected
from core.messages import Message, Reply, Source, Turn
from core.store import Store, open_store
from core.worker import Worker, working
from tests.core.conftest import Write
from tests.options import limits_with, worker_with

FRONT = "test/w"
REPLY_SECONDS = 5.0
FLOODER = "flooder"
A_MOMENT = 1e-6
"""Tolerance for sums of floats."""


@dataclass(slots=True, kw_only=True)
class Shown:
    """A front end that records when each person got which kind of reply."""

    clock: ManualClock
    heard: list[tuple[Message, Source, float]] = field(default_factory=list)

    async def begin(self, _claim: Claim) -> str:
        return "shown"

    async def preview(self, _claim: Claim, _piece: str) -> None:
        pass

    async def finish(self, claim: Claim, reply: Reply) -> str:
        self.heard.append((claim.message, reply.source, self.clock.monotonic()))
        return claim.handle

    async def open_thread(self, claim: Claim) -> str:
        raise DeliveryRejected(f"no threads for turn {claim.id}")

    async def withdraw(self, claim: Claim) -> None:
        pytest.fail(f"turn {claim.id} was withdrawn")

    async def drop(self, claim: Claim) -> None:
        pytest.fail(f"turn {claim.id} was given up")

    def waits(self) -> list[float]:
        """Seconds from message to answer, for every person but the flooder."""
        return [
            at - (message.sent_at - self.clock.epoch)
            for message, source, at in self.heard
            if source is Source.MODEL and message.sender.id != FLOODER
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A bot and the people who write to it."""

    admission: Admission
    store: Store
    shown: Shown
    clock: ManualClock
    write: Write

    async def say(self, who: str) -> Accepted | Refused:
        outcome = await self.admission.accept(self.write("hello", who=who))
        assert isinstance(outcome, Accepted | Refused)
        return outcome

    async def advance(self, seconds: float) -> None:
        """Advance the clock from one deadline to the next, whenever every task sleeps."""
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > A_MOMENT:
            await self.until_idle()
            soonest, *_ = await self.clock.until_sleeping()
            self.clock.advance(min(soonest, left))
        await self.until_idle()

    async def until_idle(self) -> None:
        """Wait until every task sleeps: work happens only in the store, which is SQLite, or between sleeps."""
        before = None
        while (now := await self._look()) != before:
            before = now

    async def _look(self) -> tuple[int, list[float]]:
        for _ in range(5):
            await asyncio.sleep(0)
        changes = await self.store.run(lambda c: int(c.exec_driver_sql("SELECT total_changes()").scalar_one()))
        return changes, await self.clock.until_sleeping()


@asynccontextmanager
async def open_bot(store: Store, write: Write, clock: ManualClock, *, slots: int) -> AsyncIterator[Bot]:
    async def answer(_turn: Turn) -> Reply:
        await clock.sleep(REPLY_SECONDS)
        return Reply(text="hi", source=Source.MODEL)

    shown = Shown(clock=clock)
    worker = Worker(store, answer, {FRONT: shown}, clock, worker_with(owner="me", slots=slots))
    admission = Admission(store, clock, limits_with(slots=slots, allow=frozenset({"test:*"})), worker)
    async with working(worker, grace=0):
        yield Bot(admission=admission, store=store, shown=shown, clock=clock, write=write)


def p99(waits: list[float]) -> float:
    return sorted(waits)[math.ceil(0.99 * len(waits)) - 1]


async def talk(bot: Bot, *, flood: int) -> float:
    """Let ten people write again after each answer, beside `flood` messages of the flooder per second. Returns the 99th
    percentile of their waiting times, in seconds.
    """
    for number in range(10):
        await bot.say(f"p{number}")
    for _ in range(120):
        heard = len(bot.shown.heard)
        for _ in range(flood):
            await bot.say(FLOODER)
        await bot.advance(1)
        for message, *_ in bot.shown.heard[heard:]:
            if message.sender.id != FLOODER:
                await bot.say(message.sender.id)
    assert len(bot.shown.waits()) >= 20
    return p99(bot.shown.waits())


async def test_two_hundred_at_once_are_answered_or_refused(
    sqlite_store: Store, write: Write, clock: ManualClock
) -> None:
    """Of 200 people within 10 s, with eight slots of 5 s, each is answered within the promised time or refused as busy.
    A flooder costs the others one place per round.
    """
    async with open_bot(sqlite_store, write, clock, slots=8) as bot:
        outcomes = []
        for number in range(200):
            outcomes.append(await bot.say(f"p{number}"))
            await bot.say(FLOODER)
            await bot.advance(10 / 200)
        while len(bot.shown.waits()) < sum(isinstance(outcome, Accepted) for outcome in outcomes):
            await bot.advance(REPLY_SECONDS)
        refused = [outcome.error for outcome in outcomes if isinstance(outcome, Refused)]
        assert all(isinstance(error, Busy) for error in refused)
        assert len({message.sender.id for message, *_ in bot.shown.heard} - {FLOODER}) == 200
        assert p99(bot.shown.waits()) <= 1.2 * 200 * REPLY_SECONDS / 8


@pytest.mark.parametrize("slots", [1, pytest.param(8, marks=pytest.mark.long)])
async def test_a_flooder_does_not_slow_the_others(write: Write, slots: int) -> None:
    """Beside a flood of 20 messages per second the others wait at most a fifth longer."""
    found = []
    for flood in (0, 20):
        clock = ManualClock()
        async with open_store("sqlite://") as store, open_bot(store, write, clock, slots=slots) as bot:
            found.append(await talk(bot, flood=flood))
    alone, flooded = found
    assert flooded <= 1.2 * alone
