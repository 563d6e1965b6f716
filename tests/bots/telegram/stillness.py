"""Simulated time: the clocks stand still while the bot works, and then jump to the next wake-up.

So tests of order and of rate limits do not depend on the speed of the machine.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from core.clock import ManualClock
from tests.bots.telegram.conftest import Gateway
from tests.fakes.telegram.control import Account

TURNS_OF_THE_LOOP = 30
"""More turns than a woken task needs to reach its socket, or a row from the store its reader."""
STEP = 0.05
"""The shortest step of time, in seconds."""
Look: TypeAlias = tuple[tuple[int, int], int, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stillness:
    """A bot and its fake Telegram, whose clocks are moved together."""

    account: Account
    gateway: Gateway
    clock: ManualClock

    async def until(self, is_over: Callable[[], Awaitable[bool]]) -> None:
        """Advance time until a condition holds."""
        while not await is_over():
            await self.quiet()
            soonest, *_ = await self.clock.until_sleeping()
            await self.pass_by(max(soonest, STEP))

    async def pass_by(self, seconds: float) -> None:
        """Advance both clocks in one step."""
        await self.account.advance(seconds)
        self.clock.advance(seconds)

    async def quiet(self) -> None:
        """Wait until the bot can do nothing more before time advances."""
        before = await self._look()
        while (now := await self._look()) != before or now[0][0] != now[0][1]:
            before = now

    async def _look(self) -> Look:
        """The number of calls and of changed rows, and the seconds that each task still sleeps."""
        for _ in range(TURNS_OF_THE_LOOP):
            await asyncio.sleep(0)
        changes = await self.gateway.store.run(lambda c: int(c.exec_driver_sql("SELECT total_changes()").scalar_one()))
        return await self.account.calls(), changes, await self.clock.until_sleeping()


async def open_turns(gateway: Gateway) -> int:
    """The number of turns that are not delivered yet."""
    query = "SELECT count(*) FROM turns WHERE state <> 'delivered'"
    return await gateway.store.run(lambda c: int(c.exec_driver_sql(query).scalar_one()))
