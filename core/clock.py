"""Clocks that are passed as arguments: the system's, and one that tests advance by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol


class Clock(Protocol):
    """A source of time: `now` for records, `monotonic` for durations, `sleep` to wait."""

    def now(self) -> float:
        """UTC epoch seconds. Jumps when the machine's clock is set."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary moment, without those of a suspended machine. Never decreases."""

    async def sleep(self, seconds: float) -> None:
        """Wait; at least one iteration of the event loop."""

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        """Raises TimeoutError if the body takes longer, like `asyncio.timeout`."""


class SystemClock:
    """The machine's time."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)


@dataclass(slots=True, kw_only=True)
class ShiftedClock:
    """A clock that shows the time of another machine, which is `offset` seconds ahead. Durations are this machine's."""

    clock: Clock
    offset: float = 0.0

    def now(self) -> float:
        return self.clock.now() + self.offset

    def monotonic(self) -> float:
        return self.clock.monotonic()

    async def sleep(self, seconds: float) -> None:
        await self.clock.sleep(seconds)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[object]:
        return self.clock.timeout(seconds)


STEP = 1.0
"""Seconds by which the two times of a clock may drift apart between two looks, as when a time server corrects one."""


class Steps:
    """Notices that the machine's clock was set, or that the machine was suspended, since the last look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - clock.monotonic()

    def step(self) -> float:
        """Seconds by which `now` has moved against `monotonic`; 0 if it was less than a step."""
        offset = self._clock.now() - self._clock.monotonic()
        moved, self._offset = offset - self._offset, offset
        return moved if abs(moved) > STEP else 0.0


@asynccontextmanager
async def until(alarm: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Raises TimeoutError, like `asyncio.timeout`, if the alarm returns before the body ends."""
    async with asyncio.timeout(None) as scope:

        async def ring() -> None:
            await alarm()
            scope.reschedule(0)

        ringing = asyncio.create_task(ring())
        try:
            yield
        finally:
            ringing.cancel()
            await asyncio.wait([ringing])


@dataclass(slots=True, kw_only=True)
class ManualClock:
    """A clock that stands still until it is advanced. It ships with the product as the test double for time.

    A test waits until the code under test sleeps, then advances: `await clock.until_sleeping(); clock.advance(5)`.
    """

    epoch: float = 1_750_000_000.0
    elapsed: float = 0.0
    _sleepers: list["_Sleeper"] = field(default_factory=list)
    _someone_slept: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> float:
        return self.epoch + self.elapsed

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = _Sleeper(until=_exact(self.elapsed + seconds), woken=asyncio.get_running_loop().create_future())
        self._sleepers.append(sleeper)
        self._someone_slept.set()
        try:
            await sleeper.woken
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[None]:
        return until(partial(self.sleep, seconds))

    def advance(self, seconds: float) -> None:
        """Advance. Sleepers that are due wake, the earliest first, and run when the caller next awaits."""
        self.elapsed = _exact(self.elapsed + seconds)
        for sleeper in sorted(self._sleepers, key=lambda sleeper: sleeper.until):
            if sleeper.until <= self.elapsed and not sleeper.woken.done():
                self._sleepers.remove(sleeper)
                sleeper.woken.set_result(None)

    def jump(self, seconds: float) -> None:
        """Set the wall clock, as an operator does: `now` changes, `monotonic` does not. So does a suspended machine."""
        self.epoch += seconds

    async def until_sleeping(self, count: int = 1) -> list[float]:
        """Wait until at least `count` tasks sleep; the seconds each of them has left, in ascending order."""
        while len(self._sleepers) < count:
            self._someone_slept.clear()
            await self._someone_slept.wait()
        return sorted(_exact(sleeper.until - self.elapsed) for sleeper in self._sleepers)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sleeper:
    until: float
    woken: asyncio.Future[None]


def _exact(seconds: float) -> float:
    """Rounded, so that 0.1 + 0.2 == 0.3 on this clock."""
    return round(seconds, 9)
