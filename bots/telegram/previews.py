"""Replies on show while they are written: drafts in private chats, a few edits of the placeholder in groups."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field

import structlog

from bots.telegram.outbox import Outbox, Place
from bots.telegram.text import Rich, ending, rich, without_mentions
from core.clock import Clock
from core.errors import ParleyError

log = structlog.get_logger()

BEAT = 1.0
"""Seconds between two looks at what is new in a private chat."""
TYPING_EVERY = 4.5
DRAFT_EVERY = 20.0
"""A draft vanishes after 30 seconds."""
EDITS_AFTER = (3.0, 5.0, 8.0, 13.0, 21.0, 34.0)
"""Seconds before each edit of a group's placeholder."""
LONGEST = 900.0
"""Seconds after which nobody is coming for a preview any more."""


@dataclass(slots=True, kw_only=True)
class _Preview:
    """A reply so far. `over` tells its task to end."""

    text: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Previews:
    """One task for each reply being written. Pieces are taken at once; what Telegram has no time for is left out."""

    def __init__(self, outbox: Outbox, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._outbox = outbox
        self._clock = clock
        self._tasks = tasks
        self._running: dict[int, tuple[_Preview, asyncio.Task[None]]] = {}

    async def begin_drafts(self, turn_id: int, place: Place) -> None:
        await self.end(turn_id)
        preview = _Preview()
        self._running[turn_id] = preview, self._tasks.create_task(self._draft(preview, turn_id, place))

    async def begin_edits(self, turn_id: int, chat: int, message_id: int) -> None:
        await self.end(turn_id)
        preview = _Preview()
        self._running[turn_id] = preview, self._tasks.create_task(self._edit(preview, chat, message_id))

    def add(self, turn_id: int, piece: str) -> None:
        if turn_id in self._running:
            self._running[turn_id][0].text += piece

    async def end(self, turn_id: int) -> None:
        """Once this returns nothing of the preview is on its way, so that it cannot arrive after the reply."""
        if turn_id in self._running:
            preview, task = self._running.pop(turn_id)
            preview.over.set()
            await asyncio.wait([task])

    async def end_all(self) -> None:
        for turn_id in tuple(self._running):
            await self.end(turn_id)

    async def _draft(self, preview: _Preview, draft_id: int, place: Place) -> None:
        begun = self._clock.monotonic()
        typed = drawn = -LONGEST
        shown: str | None = None
        while (now := self._clock.monotonic()) < begun + LONGEST:
            if now - typed >= TYPING_EVERY and self._outbox.may_preview(place.chat, leave=2):
                typed = now
                await self._try(self._outbox.type(place))
            text = preview.text.strip()
            is_due = text != shown or now - drawn >= DRAFT_EVERY
            if is_due and not preview.over.is_set() and self._outbox.may_preview(place.chat, leave=2):
                shown, drawn = text, now
                await self._try(self._outbox.draft(place, draft_id, _so_far(text)))
            if await self._is_over(preview, BEAT):
                return

    async def _edit(self, preview: _Preview, chat: int, message_id: int) -> None:
        shown = ""
        for seconds in EDITS_AFTER:
            if await self._is_over(preview, seconds):
                return
            text = preview.text.strip()
            if text not in {"", shown} and self._outbox.may_preview(chat, leave=1):
                shown = text
                await self._try(self._outbox.put_now(chat, message_id, _so_far(without_mentions(text)), None))

    async def _try(self, showing: Awaitable[None]) -> None:
        """Whatever becomes of a preview, the reply will come."""
        try:
            await showing
        except ParleyError as error:
            log.debug("preview dropped", error=type(error).__name__)

    async def _is_over(self, preview: _Preview, seconds: float) -> bool:
        try:
            async with self._clock.timeout(seconds):
                await preview.over.wait()
        except TimeoutError:
            return False
        return True


def _so_far(text: str) -> Rich:
    """A reply under way; nothing yet is what Telegram shows as "Thinking..."."""
    return rich(ending(text)) if text else Rich(text="")
