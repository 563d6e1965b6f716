"""A crowd and somebody who floods: who waits how long, and who hears nothing. Time is moved by hand."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from core.admission import Accepted, Admission, Refused
from core.clock import ManualClock
from core.delivery import Claim
from core.errors import Busy
from core.messages import Message, Reply, Source, Turn
from core.store import Store, open_store
from core.worker import Worker, working
from tests.core.conftest import Write
from tests.options import limits_with, worker_with

FRONT = "test/w"
REPLY_SECONDS = 5.0
FLOODER = "flooder"
A_MOMENT = 1e-6
"""What sums of floats may miss."""


@dataclass(slots=True, kw_only=True)
class Shown:
    """A front end that notes when each person heard, and of what kind."""

    clock: ManualClock
    heard: list[tuple[Message, Source, float]] = field(default_factory=list)

    async def begin(self, _claim: Claim) -> str:
        return "shown"

    async def preview(self, _claim: Claim, _piece: str) -> None:
        pass

    async def finish(self, claim: Claim, reply: Reply) -> str:
        self.heard.append((claim.message, reply.source, self.clock.monotonic()))
        return claim.handle

    async def drop(self, claim: Claim) -> None:
        pytest.fail(f"turn {claim.id} was given up")

    def waits(self) -> list[float]:
        """How long each answer took that people other than the flooder had, from when they wrote."""
        return [
            at - (message.sent_at - self.clock.epoch)
            for message, source, at in self.heard
            if source is Source.MODEL and message.sender.id != FLOODER
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A bot, and people who write to it."""

    admission: Admission
    store: Store
    shown: Shown
    clock: ManualClock
    write: Write

    async def say(self, who: str) -> Accepted | Refused:
        outcome = await self.admission.accept(self.write("hello", who=who))
        assert isinstance(outcome, Accepted | Refused)
        return outcome

    async def pass_by(self, seconds: float) -> None:
        """Let time pass, as much at once as nobody would notice, and no more while anybody is busy."""
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > A_MOMENT:
            await self.quiet()
            soonest, *_ = await self.clock.until_sleeping()
            self.clock.advance(min(soonest, left))
        await self.quiet()

    async def quiet(self) -> None:
        """Until nobody can do anything before time goes on: what is done is done in the store or by sleeping."""
        before = None
        while (now := await self._look()) != before:
            before = now

    async def _look(self) -> tuple[int, list[float]]:
        for _ in range(5):
            await asyncio.sleep(0)
        changes = await self.store.run(lambda c: int(c.exec_driver_sql("SELECT total_changes()").scalar_one()))
        return changes, await self.clock.until_sleeping()


@asynccontextmanager
async def town(store: Store, write: Write, clock: ManualClock, *, slots: int) -> AsyncIterator[Town]:
    async def answer(_turn: Turn) -> Reply:
        await clock.sleep(REPLY_SECONDS)
        return Reply(text="hi", source=Source.MODEL)

    shown = Shown(clock=clock)
    worker = Worker(store, answer, {FRONT: shown}, clock, worker_with(owner="me", slots=slots))
    admission = Admission(store, clock, limits_with(slots=slots, allow=frozenset({"test:*"})), worker)
    async with working(worker, grace=0):
        yield Town(admission=admission, store=store, shown=shown, clock=clock, write=write)


def p99(waits: list[float]) -> float:
    return sorted(waits)[math.ceil(0.99 * len(waits)) - 1]


async def talk(at: Town, *, flood: int) -> float:
    """Ten people who write again whenever they are answered, beside so many messages of the flooder a second; how long
    the slowest answers took, but for one in a hundred.
    """
    for number in range(10):
        await at.say(f"p{number}")
    for _ in range(120):
        heard = len(at.shown.heard)
        for _ in range(flood):
            await at.say(FLOODER)
        await at.pass_by(1)
        for message, *_ in at.shown.heard[heard:]:
            if message.sender.id != FLOODER:
                await at.say(message.sender.id)
    assert len(at.shown.waits()) >= 20
    return p99(at.shown.waits())


async def test_two_hundred_at_once_are_answered_or_told(store: Store, write: Write, clock: ManualClock) -> None:
    """200 people within 10 s and a model of 5 s that serves eight at once: each is answered, within what a busy bot
    promises, or told that it is busy. One who floods costs them a place in each round and no more.
    """
    async with town(store, write, clock, slots=8) as at:
        outcomes = []
        for number in range(200):
            outcomes.append(await at.say(f"p{number}"))
            await at.say(FLOODER)
            await at.pass_by(10 / 200)
        while len(at.shown.waits()) < sum(isinstance(outcome, Accepted) for outcome in outcomes):
            await at.pass_by(REPLY_SECONDS)
        refused = [outcome.error for outcome in outcomes if isinstance(outcome, Refused)]
        assert all(isinstance(error, Busy) for error in refused)
        assert len({message.sender.id for message, *_ in at.shown.heard} - {FLOODER}) == 200
        assert p99(at.shown.waits()) <= 1.2 * 200 * REPLY_SECONDS / 8


@pytest.mark.parametrize("slots", [1, pytest.param(8, marks=pytest.mark.long)])
async def test_a_flooder_does_not_slow_the_others(write: Write, slots: int) -> None:
    """Beside 20 messages a second of one person the others wait at most a fifth longer."""
    found = []
    for flood in (0, 20):
        clock = ManualClock()
        async with open_store("sqlite://") as store, town(store, write, clock, slots=slots) as at:
            found.append(await talk(at, flood=flood))
    alone, flooded = found
    assert flooded <= 1.2 * alone
