"""Asks once more when the model died, so that a crash of the model's process costs time and not an answer."""

import asyncio
from dataclasses import replace

from core.clock import Clock
from core.errors import EngineLost, EngineUnavailable
from core.messages import Reply, Turn
from core.pipeline import Handler, Stage

PAUSE = 1.0
"""Seconds in which a dead server is noticed, so that the second try meets its successor."""


def retry(clock: Clock) -> Stage:
    """The stage that tries again once. The second death is an apology: the message may be what kills the model.

    Turns that were lost together are tried again one by one: beside the one that kills the model, all would be lost
    a second time.
    """
    one_by_one = asyncio.Lock()

    async def reach(turn: Turn, call_next: Handler) -> Reply:
        """Not being there is no death of this turn's: it may be that of another."""
        try:
            return await call_next(turn)
        except EngineUnavailable:
            await clock.sleep(PAUSE)
            return await call_next(_again(turn))

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        try:
            return await reach(turn, call_next)
        except EngineLost:
            await clock.sleep(PAUSE)
            async with one_by_one:
                return await reach(_again(turn), call_next)

    return stage


def _again(turn: Turn) -> Turn:
    """The turn without its preview, of which a part has been seen already."""
    return replace(turn, sink=_unseen)


async def _unseen(_piece: str) -> None:
    pass
