"""Asks once more when the model died, so that a crash of the model's process costs time and not an answer."""

import asyncio
from dataclasses import replace

from core.clock import Clock
from core.errors import EngineLost, EngineUnavailable
from core.messages import Reply, Turn
from core.pipeline import Handler, Stage

PAUSE = 1.0
"""Seconds in which a dead server is noticed, so that the second try meets its successor."""
ABSENCES = 2
"""How often a turn that found no server asks again: a message that kills it does so twice, a pause apart."""


def retry(clock: Clock) -> Stage:
    """The stage that tries again once. The second death is an apology: the message may be what kills the model.

    Turns that were lost together are tried again one by one: beside the one that kills the model, all would be lost
    a second time.
    """
    one_by_one = asyncio.Lock()

    async def reach(turn: Turn, call_next: Handler) -> Reply:
        """Not being there is no death of this turn's: another's may have come before it, and that one's second."""
        for _ in range(ABSENCES):
            try:
                return await call_next(turn)
            except EngineUnavailable:
                await clock.sleep(PAUSE)
                turn = _again(turn)
        return await call_next(turn)

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
