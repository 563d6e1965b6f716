"""One real run: what people saw, and what each role used."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.fleet.crowd import Crowd
from benchmarks.fleet.database import transactions
from benchmarks.fleet.running import fleet
from benchmarks.simulation.run import Seen
from benchmarks.simulation.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What people saw within the `seconds` of a run, and seconds of the processor and transactions per answer."""

    seconds: float
    seen: Seen
    used: Mapping[str, float]
    transactions: float
    faults: int

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.seen.whole) / self.seconds


async def observe(world: World, server: str, *, seconds: float, warm_up: float) -> Observed:
    """Run a fleet for some seconds, after a warm-up that does not count."""
    async with fleet(world, server) as running:
        crowd = Crowd(world.people, running.gateways, running.keys)
        writing = asyncio.create_task(crowd.write())
        await asyncio.sleep(warm_up)
        used, before, begun = running.used(), transactions(running.database), time.perf_counter()
        crowd.seen = Seen()
        await asyncio.sleep(seconds)
        seen, took = crowd.seen, time.perf_counter() - begun
        crowd.seen = Seen()
        now, after = running.used(), transactions(running.database)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
    answers = max(1, len(seen.whole))
    return Observed(
        seconds=took,
        seen=seen,
        used={role: (now[role] - used[role]) / answers for role in now},
        transactions=(after - before) / answers,
        faults=crowd.faults,
    )
