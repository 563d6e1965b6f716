"""Counts replies, their moods, and how long people wait for the first words and for the whole."""

from dataclasses import replace

from core.clock import Clock
from core.measures import Measures
from core.messages import Reply, Turn
from core.pipeline import Handler, Stage


def measure(measures: Measures, clock: Clock) -> Stage:
    """The stage that counts each reply. A turn that ends without one, since the process ends, counts for nothing."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        begun, first_piece = clock.monotonic(), None

        async def sink(piece: str) -> None:
            nonlocal first_piece
            if first_piece is None:
                first_piece = clock.monotonic() - begun
            await turn.sink(piece)

        reply = await call_next(replace(turn, sink=sink))
        measures.note_reply(reply, first_piece=first_piece, seconds=clock.monotonic() - begun)
        return reply

    return stage
