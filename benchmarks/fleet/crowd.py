"""People who write to gateways over the HTTP interface, each after reading the last answer."""

import asyncio
import random
import time
from collections.abc import Sequence
from uuid import uuid4

import aiohttp

from benchmarks.simulation.run import Seen
from benchmarks.simulation.world import People

STREAM = {"Accept": "text/event-stream"}
WRITTEN, REPLIED = b"event: written", b"event: replied"


class Crowd:
    """`seen` grows while the people write. `faults` counts messages without a whole answer."""

    def __init__(self, people: People, gateways: Sequence[str], keys: Sequence[str]) -> None:
        self.seen = Seen()
        self.faults = 0
        self._people = people
        self._gateways = gateways
        self._keys = keys

    async def write(self) -> None:
        """Write until cancelled."""
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
            asyncio.TaskGroup() as group,
        ):
            for number in range(self._people.number):
                group.create_task(self._live(session, number, random.Random(number)))

    async def _live(self, session: aiohttp.ClientSession, number: int, chance: random.Random) -> None:
        url = f"{self._gateways[number % len(self._gateways)]}/api/chat"
        key = self._keys[number % len(self._keys)]
        headers = {"Authorization": f"Bearer {key}", "Parley-User": f"{number}", **STREAM}
        while True:
            if self._people.pause:
                await asyncio.sleep(chance.expovariate(1 / self._people.pause))
            await self._ask(session, url, headers)

    async def _ask(self, session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        """Ask, and read all of the answer, so that the connection can be used again."""
        begun, first, is_whole = time.perf_counter(), 0.0, False
        async with session.post(url, json={"text": f"hello {uuid4().hex}"}, headers=headers) as response:
            self.seen.acknowledged.append(time.perf_counter() - begun)
            async for line in response.content:
                if line.startswith(WRITTEN) and not first:
                    first = time.perf_counter() - begun
                if line.startswith(REPLIED):
                    is_whole, whole = True, time.perf_counter() - begun
                    self.seen.first.append(first or whole)
                    self.seen.whole.append(whole)
        self.faults += not is_whole
