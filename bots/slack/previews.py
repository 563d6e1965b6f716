"""Previews of replies while the model writes: shown every few seconds, so that edits stay within Slack's limits."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TypeAlias

from core.clock import Clock

PAUSES = (3.0, 5.0, 8.0, 12.0)
"""Seconds before each time a preview is shown; the last pause repeats."""
Show: TypeAlias = Callable[[str], Awaitable[None]]
"""Shows the text so far, which is empty the first time. Must not raise."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Preview:
    show: Show
    pauses: Sequence[float]
    text: str = ""
    fresh: asyncio.Event = field(default_factory=asyncio.Event)
    showing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Previews:
    """The previews of all turns being answered, one task each."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[int, tuple[_Preview, asyncio.Task[None]]] = {}

    async def begin(self, turn_id: int, show: Show, pauses: Sequence[float] = PAUSES) -> None:
        """Begin a turn's preview. One that the turn has already is ended."""
        await self.end(turn_id)
        preview = _Preview(show=show, pauses=pauses)
        self._open[turn_id] = preview, asyncio.create_task(self._keep_showing(preview))

    def __contains__(self, turn_id: int) -> bool:
        return turn_id in self._open

    def add(self, turn_id: int, piece: str) -> None:
        """Add a piece of the reply."""
        preview, _ = self._open[turn_id]
        preview.text += piece
        preview.fresh.set()

    async def end(self, turn_id: int) -> bool:
        """End a preview, and wait for a call under way, so that none can arrive after the reply. False if there is
        none.
        """
        preview, task = self._open.pop(turn_id, (None, None))
        if preview is None or task is None:
            return False
        async with preview.showing:
            task.cancel()
        await asyncio.wait([task])
        return True

    async def end_all(self) -> None:
        for turn_id in tuple(self._open):
            await self.end(turn_id)

    async def _keep_showing(self, preview: _Preview) -> None:
        await self._show(preview, "")
        for pause in chain(preview.pauses, repeat(preview.pauses[-1])):
            await preview.fresh.wait()
            await self._clock.sleep(pause)
            preview.fresh.clear()
            await self._show(preview, preview.text)

    async def _show(self, preview: _Preview, text: str) -> None:
        async with preview.showing:
            await preview.show(text)
