"""Replies while they are being written: shown now and then, never waited for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import TypeAlias

from core.clock import Clock

PAUSES = (3.0, 5.0, 8.0, 12.0)
"""Seconds before each time a draft is shown; the last one ever after."""
Show: TypeAlias = Callable[[str], Awaitable[None]]
"""Shows a draft, the empty one first. Does not raise."""


@dataclass(slots=True, kw_only=True, eq=False)
class _Draft:
    show: Show
    pauses: Sequence[float]
    text: str = ""
    fresh: asyncio.Event = field(default_factory=asyncio.Event)
    showing: asyncio.Lock = field(default_factory=asyncio.Lock)


class Drafts:
    """The drafts of all turns at hand, each with a task that `close` waits for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[int, tuple[_Draft, asyncio.Task[None]]] = {}

    async def open(self, turn_id: int, show: Show, pauses: Sequence[float] = PAUSES) -> None:
        """Begin anew with a turn."""
        await self.close(turn_id)
        draft = _Draft(show=show, pauses=pauses)
        self._open[turn_id] = draft, asyncio.create_task(self._keep_showing(draft))

    def __contains__(self, turn_id: int) -> bool:
        return turn_id in self._open

    def add(self, turn_id: int, piece: str) -> None:
        draft, _ = self._open[turn_id]
        draft.text += piece
        draft.fresh.set()

    async def close(self, turn_id: int) -> bool:
        """Show no more of a turn, not even late: what is on its way has arrived. False if it was not open."""
        draft, task = self._open.pop(turn_id, (None, None))
        if draft is None or task is None:
            return False
        async with draft.showing:
            task.cancel()
        await asyncio.wait([task])
        return True

    async def close_all(self) -> None:
        for turn_id in list(self._open):
            await self.close(turn_id)

    async def _keep_showing(self, draft: _Draft) -> None:
        await self._show(draft, "")
        for pause in chain(draft.pauses, repeat(draft.pauses[-1])):
            await draft.fresh.wait()
            await self._clock.sleep(pause)
            draft.fresh.clear()
            await self._show(draft, draft.text)

    async def _show(self, draft: _Draft, text: str) -> None:
        async with draft.showing:
            await draft.show(text)
