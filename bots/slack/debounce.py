"""Debounced display of growing texts: each is shown every few seconds, so that edits stay within Slack's limits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TypeAlias

import structlog

from core.bulkhead import bulkhead
from core.clock import Clock

log = structlog.get_logger()

PAUSES = (3.0, 5.0, 8.0, 12.0)
"""Seconds before each time a text is shown; the last pause repeats."""
Show: TypeAlias = Callable[[str], Awaitable[None]]
"""Shows the text so far, which is empty the first time. Must not raise."""


@dataclass(slots=True, kw_only=True, eq=False)
class _GrowingText:
    show: Show
    pauses: Sequence[float]
    text: str = ""
    fresh: asyncio.Event = field(default_factory=asyncio.Event)
    showing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Debouncer:
    """The growing texts of all turns being answered, one task each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[int, tuple[_GrowingText, asyncio.Task[None]]] = {}

    async def begin(self, turn_id: int, show: Show, pauses: Sequence[float] = PAUSES) -> None:
        """Begin a turn's text. One that the turn has already is ended."""
        await self.end(turn_id)
        growing = _GrowingText(show=show, pauses=pauses)
        self._open[turn_id] = growing, asyncio.create_task(self._keep_showing(growing))

    def __contains__(self, turn_id: int) -> bool:
        return turn_id in self._open

    def add(self, turn_id: int, piece: str) -> None:
        """Append a piece to a turn's text."""
        growing, _ = self._open[turn_id]
        growing.text += piece
        growing.fresh.set()

    async def end(self, turn_id: int) -> bool:
        """Show no more of a text, and wait for a call of `show` under way. False if there is no text."""
        growing, task = self._open.pop(turn_id, (None, None))
        if growing is None or task is None:
            return False
        async with growing.showing:
            task.cancel()
        await asyncio.wait([task])
        return True

    async def end_all(self) -> None:
        for turn_id in tuple(self._open):
            await self.end(turn_id)

    async def _keep_showing(self, growing: _GrowingText) -> None:
        await self._show(growing, "")
        for pause in chain(growing.pauses, repeat(growing.pauses[-1])):
            await growing.fresh.wait()
            await self._clock.sleep(pause)
            growing.fresh.clear()
            await self._show(growing, growing.text)

    async def _show(self, growing: _GrowingText, text: str) -> None:
        async with growing.showing:
            with bulkhead() as outcome:
                await growing.show(text)
        if outcome.fault:
            log.warning("preview dropped", fault=outcome.fault)
