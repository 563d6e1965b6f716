"""Previews of replies while the model writes: drafts in private chats; in groups typing, then edits of the message."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field

import structlog
from telegram import InlineKeyboardMarkup

from bots.markdown import FormattedText, so_far
from bots.telegram.api import Place, TelegramApi
from bots.telegram.text import ending, from_markdown, without_mentions
from core.bulkhead import bulkhead
from core.clock import Clock

log = structlog.get_logger()

TICK = 1.0
"""Seconds between two looks at the new text of a draft."""
TYPING_EVERY = 4.5
DRAFT_EVERY = 20.0
"""Seconds until an unchanged draft is shown again; Telegram removes it after 30."""
TYPING_IN_GROUP_EVERY = 10.0
"""Typing counts for a group's rate limit, which allows 20 calls a minute."""
EDITS_AFTER = (3.0, 5.0, 8.0, 13.0, 21.0, 34.0)
"""Seconds before each edit of a group's message."""
MAX_SECONDS = 900.0
"""Seconds after which a preview ends by itself."""


@dataclass(slots=True, kw_only=True)
class _Preview:
    """The text so far. `over` tells its task to end."""

    text: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Previews:
    """The previews of all turns being answered, one task each. A call that the rate limit forbids is skipped."""

    def __init__(self, api: TelegramApi, clock: Clock, tasks: asyncio.TaskGroup) -> None:
        self._api = api
        self._clock = clock
        self._tasks = tasks
        self._open: dict[int, tuple[_Preview, asyncio.Task[None]]] = {}

    async def begin_drafts(self, turn_id: int, place: Place) -> None:
        await self.end(turn_id)
        preview = _Preview()
        self._open[turn_id] = preview, self._tasks.create_task(self._try(self._draft(preview, turn_id, place)))

    async def begin_typing(self, turn_id: int, place: Place) -> None:
        await self.end(turn_id)
        preview = _Preview()
        self._open[turn_id] = preview, self._tasks.create_task(self._try(self._type(preview, place)))

    async def begin_edits(self, turn_id: int, chat: int, message_id: int, keyboard: InlineKeyboardMarkup) -> None:
        """Go on with edits of a message, which shows the beginning of the text so far.

        The keyboard is shown with each edit: one without it would remove it.
        """
        text = self._open[turn_id][0].text
        await self.end(turn_id)
        preview = _Preview(text=text)
        self._open[turn_id] = (
            preview,
            self._tasks.create_task(self._try(self._edit(preview, chat, message_id, keyboard))),
        )

    def add(self, turn_id: int, piece: str) -> str:
        """Add a piece of the reply; the text so far, empty if the turn has no preview."""
        if turn_id not in self._open:
            return ""
        preview, _ = self._open[turn_id]
        preview.text += piece
        return preview.text

    async def end(self, turn_id: int) -> None:
        """End a preview, and wait for a call under way, so that none can arrive after the reply."""
        if turn_id in self._open:
            preview, task = self._open.pop(turn_id)
            preview.over.set()
            await asyncio.wait([task])

    async def end_all(self) -> None:
        for turn_id in tuple(self._open):
            await self.end(turn_id)

    async def _draft(self, preview: _Preview, draft_id: int, place: Place) -> None:
        begun = self._clock.monotonic()
        typed = drawn = -MAX_SECONDS
        shown: str | None = None
        while (now := self._clock.monotonic()) < begun + MAX_SECONDS:
            if now - typed >= TYPING_EVERY and self._api.may_preview(place.chat, leave=2):
                typed = now
                await self._try(self._api.type_now(place))
            text = preview.text.strip()
            is_due = text != shown or now - drawn >= DRAFT_EVERY
            if is_due and not preview.over.is_set() and self._api.may_preview(place.chat, leave=2):
                shown, drawn = text, now
                await self._try(self._api.draft_now(place, draft_id, _shown(text)))
            if await self._is_over(preview, TICK):
                return

    async def _type(self, preview: _Preview, place: Place) -> None:
        for _ in range(int(MAX_SECONDS / TYPING_IN_GROUP_EVERY)):
            if self._api.may_preview(place.chat, leave=2):
                await self._try(self._api.type_now(place))
            if await self._is_over(preview, TYPING_IN_GROUP_EVERY):
                return

    async def _edit(self, preview: _Preview, chat: int, message_id: int, keyboard: InlineKeyboardMarkup) -> None:
        shown = ""
        for seconds in EDITS_AFTER:
            if await self._is_over(preview, seconds):
                return
            text = preview.text.strip()
            if text not in {"", shown} and self._api.may_preview(chat, leave=1):
                shown = text
                shown_text = without_mentions(_shown(text))
                await self._try(self._api.edit_now(chat, message_id, shown_text, keyboard))

    async def _try(self, call: Coroutine[None, None, None]) -> None:
        """Make a call of a preview, or show it. A failure is logged and ignored, since the reply follows anyway."""
        with bulkhead() as outcome:
            await call
        if outcome.fault:
            log.debug("preview dropped", fault=outcome.fault)

    async def _is_over(self, preview: _Preview, seconds: float) -> bool:
        """Wait for some seconds; True as soon as the preview is over."""
        try:
            async with self._clock.timeout(seconds):
                await preview.over.wait()
        except TimeoutError:
            return False
        return True


def _shown(text: str) -> FormattedText:
    """The end of a reply under way, as much as fits. Telegram shows an empty draft as "Thinking..."."""
    return ending(from_markdown(so_far(text))) if text else FormattedText(text="")
