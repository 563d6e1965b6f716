"""Hours of Telegram in seconds: time stands still while anything is on its way, and then goes to what is next.

So what is stated of order and of limits does not depend on how fast this machine happens to be.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from core.clock import ManualClock
from tests.bots.telegram.conftest import Gateway
from tests.fakes.telegram.control import Account

TURNS_OF_THE_LOOP = 30
"""More than a call takes from a woken sleeper to its socket, or a row from the store to who asked for it."""
STEP = 0.05
"""The least that time moves by."""
Look: TypeAlias = tuple[tuple[int, int], int, list[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stillness:
    """A bot and its Telegram, whose clocks are moved together."""

    account: Account
    gateway: Gateway
    clock: ManualClock

    async def until(self, is_over: Callable[[], Awaitable[bool]]) -> None:
        """Let time pass until something holds."""
        while not await is_over():
            await self.quiet()
            soonest, *_ = await self.clock.until_sleeping()
            await self.pass_by(max(soonest, STEP))

    async def pass_by(self, seconds: float) -> None:
        """Move both clocks at once, however much would have happened meanwhile."""
        await self.account.advance(seconds)
        self.clock.advance(seconds)

    async def quiet(self) -> None:
        """Until nobody can do anything before time goes on."""
        before = await self._look()
        while (now := await self._look()) != before or now[0][0] != now[0][1]:
            before = now

    async def _look(self) -> Look:
        """The calls that were made, the rows that were changed, and who sleeps for how long."""
        for _ in range(TURNS_OF_THE_LOOP):
            await asyncio.sleep(0)
        changes = await self.gateway.store.run(lambda c: int(c.exec_driver_sql("SELECT total_changes()").scalar_one()))
        return await self.account.calls(), changes, await self.clock.until_sleeping()


async def open_turns(gateway: Gateway) -> int:
    """How many messages wait for an answer, or an answer for its delivery."""
    query = "SELECT count(*) FROM turns WHERE state <> 'delivered'"
    return await gateway.store.run(lambda c: int(c.exec_driver_sql(query).scalar_one()))
