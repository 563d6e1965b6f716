"""The fake's clock: real time, accelerated time, or advanced by hand."""

import asyncio
import time

EPOCH = 1_750_000_000.0


class FakeClock:
    """`speed` virtual seconds pass per real second. With speed 0 only `advance` moves the clock.

    The time depends on the machine's monotonic clock alone, so that a bot in another process can have the same time.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._ahead = 0.0
        self._moved = asyncio.Event()

    def now(self) -> float:
        return EPOCH + time.monotonic() * self._speed + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += seconds
        self._moved.set()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            try:
                async with asyncio.timeout(left / self._speed if self._speed else None):
                    await self._moved.wait()
            except TimeoutError:
                continue
