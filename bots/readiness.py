"""Whether the bot can answer messages: its store, its model and its platforms. /ready and /admin say so."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bots.app import Bot
from bots.fronts import FrontEnd
from core.clock import Clock
from core.engine.deadline import in_time
from core.errors import EngineError, StoreError
from core.store import installation

CHECK_SECONDS = 2.0
"""Time limit of each check."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A platform, and the seconds since its latest answer; None before the first. `standing_by` as in `Health`."""

    connected: bool
    seconds_since_heard: float | None
    standing_by: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """`store_fault` is the kind of error that keeps messages from being stored, such as "StoreFull"; empty if there is
    none.
    """

    store_fault: str
    model: bool
    platforms: Mapping[str, Connection]

    @property
    def is_ready(self) -> bool:
        return not self.store_fault and self.model and all(one.connected for one in self.platforms.values())


async def readiness(bot: Bot, fronts: Sequence[FrontEnd], clock: Clock) -> Readiness:
    """How it is now. Takes CHECK_SECONDS at most."""
    fault, model = await asyncio.gather(_store_fault(bot, clock), _model_answers(bot, clock))
    platforms = {front.platform: _connection(front, clock) for front in fronts}
    return Readiness(store_fault=fault, model=model, platforms=platforms)


async def _store_fault(bot: Bot, clock: Clock) -> str:
    try:
        await in_time(bot.store.run(installation.touch, clock.now()), clock, CHECK_SECONDS)
    except (StoreError, EngineError) as error:
        return type(error).__name__ if isinstance(error, StoreError) else "StoreLocked"
    return ""


async def _model_answers(bot: Bot, clock: Clock) -> bool:
    try:
        await in_time(bot.engine.count_tokens("ready"), clock, CHECK_SECONDS)
    except EngineError:
        return False
    return True


def _connection(front: FrontEnd, clock: Clock) -> Connection:
    health = front.health()
    age = None if health.heard_at is None else round(clock.monotonic() - health.heard_at, 1)
    return Connection(connected=health.connected, seconds_since_heard=age, standing_by=health.standing_by)
