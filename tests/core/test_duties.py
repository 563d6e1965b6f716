"""Of the gateways that share a database one performs a duty, and another one takes over in time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from core.clock import ManualClock
from core.duties import LEASE, LOOKS, MARGIN, Job, SharedDuties, SoleDuties
from core.errors import StoreFailing, TokenRefused
from core.store import Store

P = ParamSpec("P")
R = TypeVar("R")
LOOKS_APART = LEASE / LOOKS
STEP = 0.5
"""Seconds by which time goes on between two looks."""


class Link:
    """A gateway's `Store`, which can be cut off: then it fails, or never answers if it `hangs`."""

    def __init__(self, store: Store) -> None:
        self.read, self.scrub = store.read, store.scrub
        self.is_cut = self.hangs = False
        self._store = store

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self.hangs:
            await asyncio.get_running_loop().create_future()
        if self.is_cut:
            raise StoreFailing("cut off")
        return await self._store.run(verb, *args, **kwargs)


@dataclass(slots=True, kw_only=True)
class Gateway:
    """A gateway with a clock of its own, so that it can be stopped."""

    name: str
    clock: ManualClock
    link: Link
    running: asyncio.Task[None]


@dataclass(slots=True, kw_only=True)
class Town:
    """Gateways that share a store; `on_watch` are those that perform the duty, and `standing_by` those that wait."""

    store: Store
    on_watch: set[str] = field(default_factory=set)
    standing_by: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def gateway(self, name: str) -> AsyncIterator[Gateway]:
        """It runs until the context is left, in order."""
        clock, link = ManualClock(), Link(self.store)
        shared = SharedDuties(link, clock, name)
        jobs = self._job(name, self.on_watch), self._job(name, self.standing_by)
        running = asyncio.create_task(shared.perform("watch", *jobs))
        try:
            yield Gateway(name=name, clock=clock, link=link, running=running)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    def _job(self, name: str, names: set[str]) -> Job:
        async def job() -> None:
            names.add(name)
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                names.discard(name)

        return job

    async def until(self, *names: str) -> None:
        """Wait until these are on watch."""
        while self.on_watch != set(names):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float, *gateways: Gateway) -> None:
        """Let time go on in small steps for some gateways; the others stand still."""
        for _ in range(round(seconds / STEP)):
            for gateway in gateways:
                gateway.clock.advance(STEP)
            await self.settle()

    async def settle(self) -> None:
        """Let everything happen that happens now."""
        for _ in range(5):
            await self.store.read(lambda c: c.scalar(sa.text("SELECT 1")))
            for _ in range(10):
                await asyncio.sleep(0)


@pytest.fixture
def town(sqlite_store: Store) -> Town:
    return Town(store=sqlite_store)


async def test_one_gateway_performs_the_duty_and_the_other_stands_by(town: Town) -> None:
    """However long both run."""
    async with town.gateway("a") as a:
        await town.until("a")
        async with town.gateway("b") as b:
            for _ in range(6):
                await town.pass_time(5, a, b)
                assert (town.on_watch, town.standing_by) == ({"a"}, {"b"})


async def test_a_gateway_that_ends_in_order_is_followed_at_the_next_look(town: Town) -> None:
    """It releases the duty, so that nobody waits for the end of its lease."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(town.gateway("a"))
        await town.until("a")
        async with town.gateway("b") as b:
            await town.settle()
            await stack.aclose()
            await town.pass_time(LOOKS_APART, b)
            assert town.on_watch == {"b"}


async def test_a_gateway_that_is_stopped_is_followed_in_time(town: Town) -> None:
    """Another one takes over once the lease has ended; when the first one wakes, it stops at its first renewal."""
    async with town.gateway("a") as a, town.gateway("b") as b:
        await town.until("a")
        await town.settle()
        await town.pass_time(LEASE - STEP, b)
        assert town.on_watch == {"a"}
        await town.pass_time(STEP + LOOKS_APART, b)
        assert town.on_watch == {"a", "b"}  # the first one does not know yet
        await town.pass_time(STEP, b)
        a.clock.advance(b.clock.elapsed)
        await town.settle()
        assert (town.on_watch, town.standing_by) == ({"b"}, {"a"})
        await town.pass_time(20, a, b)
        assert town.on_watch == {"b"}


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_gateway_that_is_cut_off_stops_before_another_one_begins(town: Town, *, hangs: bool) -> None:
    """If the lease cannot be renewed, whether the store fails or does not answer, the duty is left before its end."""
    async with town.gateway("a") as a, town.gateway("b") as b:
        await town.until("a")
        await town.settle()
        a.link.is_cut, a.link.hangs = not hangs, hangs
        seen = []
        for _ in range(round((LEASE + LOOKS_APART) / STEP)):
            await town.pass_time(STEP, a, b)
            seen.append("".join(sorted(town.on_watch)))
        assert "ab" not in seen
        assert seen.index("") * STEP <= LEASE * (1 - MARGIN)
        assert seen[-1] == "b"
        a.link.is_cut = a.link.hangs = False


async def test_a_short_failure_of_the_store_changes_nothing(town: Town) -> None:
    """The duty is kept if the lease is renewed at a later try."""
    async with town.gateway("a") as a, town.gateway("b") as b:
        await town.until("a")
        await town.settle()
        a.link.is_cut = True
        await town.pass_time(LOOKS_APART, a, b)
        a.link.is_cut = False
        await town.pass_time(3 * LEASE, a, b)
        assert (town.on_watch, town.standing_by) == ({"a"}, {"b"})


async def test_a_duty_that_is_lost_is_taken_again(town: Town) -> None:
    """A gateway goes on once the store answers again, if no other one has taken over."""
    async with town.gateway("a") as a:
        await town.until("a")
        await town.settle()
        a.link.is_cut = True
        with capture_logs() as logs:
            await town.pass_time(2 * LEASE, a)
        assert town.on_watch == set()
        assert {"event": "duty lost", "duty": "watch", "log_level": "warning"} in logs
        a.link.is_cut = False
        await town.pass_time(LOOKS_APART, a)
        assert town.on_watch == {"a"}


async def test_an_error_of_the_job_is_raised_and_the_duty_released(sqlite_store: Store) -> None:
    """A token that is refused ends the front end of this gateway, and another one may try."""

    async def refused() -> None:
        raise TokenRefused(retry_after=1, reason="no")

    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    shared = SharedDuties(sqlite_store, ManualClock(), "a")
    with pytest.raises(TokenRefused):
        await shared.perform("watch", refused, wait)
    assert await sqlite_store.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM duties"))) == 0


async def test_a_gateway_alone_has_every_duty() -> None:
    """With a database of its own it asks nobody."""
    done: list[str] = []

    async def job() -> None:
        done.append("job")

    async def meanwhile() -> None:
        done.append("meanwhile")

    await SoleDuties().perform("watch", job, meanwhile)
    assert done == ["job"]
