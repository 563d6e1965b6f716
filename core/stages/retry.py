"""Retries a turn after the model server crashed, so that a crash costs time and not an answer."""

import asyncio
from dataclasses import replace

from core.clock import Clock
from core.errors import EngineLost, EngineUnavailable
from core.messages import Reply, Turn
from core.pipeline import Handler, Stage

PAUSE = 1.0
"""Seconds before a retry, in which the supervisor notices the crash and starts a new server."""
UNAVAILABLE_RETRIES = 2
"""Retries of a turn that found no server. Another turn may crash it twice, a pause apart."""


def retry(clock: Clock) -> Stage:
    """The stage that retries a turn once. After a second crash it gets an apology: its message may be the cause.

    Turns that a crash interrupted together are retried one at a time, so that the one that causes it does not interrupt
    the others again.
    """
    one_by_one = asyncio.Lock()

    async def call_available(turn: Turn, call_next: Handler) -> Reply:
        """An unavailable server does not count as a crash caused by this turn."""
        for _ in range(UNAVAILABLE_RETRIES):
            try:
                return await call_next(turn)
            except EngineUnavailable:
                await clock.sleep(PAUSE)
                turn = _without_preview(turn)
        return await call_next(turn)

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        try:
            return await call_available(turn, call_next)
        except EngineLost:
            await clock.sleep(PAUSE)
            async with one_by_one:
                return await call_available(_without_preview(turn), call_next)

    return stage


def _without_preview(turn: Turn) -> Turn:
    """The turn without its preview: the person has seen a part of the first attempt already."""
    return replace(turn, sink=_no_preview)


async def _no_preview(_piece: str) -> None:
    pass
