"""A model server without a model, which takes the time of `Speed` and little of the processor:
`python -m benchmarks.fleet.paced SPEED TOKENS QUESTION`.

Each reply has so many tokens, and each prompt so many that are not in the cache. It prints its URL.
"""

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from benchmarks.simulation.batch import Batch, Row
from benchmarks.simulation.world import Speed
from core.engine.scripted import ScriptedEngine
from core.prompt import Prompt
from tests.core.engine.fake_server import serving


async def main(speed: Speed, tokens: int, question: int) -> None:
    async with pacing(speed) as pace, serving(PacedEngine(pace, tokens, question)) as url:
        print(url, flush=True)
        await asyncio.Event().wait()


@dataclass(slots=True, kw_only=True, eq=False)
class PacedRow(Row):
    """A row that tells of each of its tokens."""

    written: asyncio.Queue[int]


class Pace:
    """Steps of a batch in real time. A step that is late does not make the next one late."""

    def __init__(self, speed: Speed) -> None:
        self._batch = Batch(speed)
        self._wake = asyncio.Event()

    async def tokens(self, to_read: int, to_write: int) -> AsyncGenerator[int]:
        """Tell of each token when it is written: how many there are still to come."""
        row = PacedRow(to_read=to_read, to_write=to_write, written=asyncio.Queue())
        self._batch.add(row)
        self._wake.set()
        try:
            for left in range(to_write - 1, -1, -1):
                await row.written.get()
                yield left
        finally:
            self._batch.remove(row)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if not self._batch:
                self._wake.clear()
                await self._wake.wait()
                due = loop.time()
            seconds, writing = self._batch.begin()
            due += seconds
            await asyncio.sleep(due - loop.time())
            self._batch.end(writing)
            for row in writing:
                assert isinstance(row, PacedRow)
                row.written.put_nowait(row.to_write)


@asynccontextmanager
async def pacing(speed: Speed) -> AsyncIterator[Pace]:
    pace = Pace(speed)
    running = asyncio.create_task(pace.run())
    try:
        yield pace
    finally:
        running.cancel()
        await asyncio.wait([running])


class PacedEngine(ScriptedEngine):
    """The scripted engine, at a pace."""

    def __init__(self, pace: Pace, tokens: int, question: int) -> None:
        async def script(_prompt: Prompt, _call: int) -> AsyncGenerator[str]:
            async with aclosing(pace.tokens(question, tokens)) as paced:
                async for left in paced:
                    yield f" word{left}"

        super().__init__(script)
        self._pace = pace
        self._question = question

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        async with aclosing(self._pace.tokens(self._question, 1)) as paced:
            async for _ in paced:
                pass
        return await super().first_token(prompt, user=user)


if __name__ == "__main__":
    asyncio.run(main(Speed(**json.loads(sys.argv[1])), *map(int, sys.argv[2:])))
