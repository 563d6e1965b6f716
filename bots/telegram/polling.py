"""Asks Telegram for updates, and confirms them once they are in the store."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from telegram import Bot
from telegram.error import TelegramError

from bots.telegram.patience import Patience
from bots.telegram.shapes import update_id
from core.clock import Clock
from core.errors import StoreError

log = structlog.get_logger()

WANTED = ["message", "callback_query"]
"""The kinds of updates we ask for: without a list Telegram goes by what somebody asked for before us."""
GET_UPDATES = "get_Updates"
"""Spelled so that the library hands the updates over as they came, and not parsed, all or none."""
STORE_PAUSE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds: `poll` is how long Telegram keeps a request for updates open, `read` how long it may take to answer."""

    poll: int = 25
    read: float = 10.0


class Poller:
    """One loop for ever. `take` keeps an update or raises StoreError."""

    def __init__(
        self, bot: Bot, patience: Patience, clock: Clock, timeouts: Timeouts, take: Callable[[object], Awaitable[None]]
    ) -> None:
        self._bot = bot
        self._patience = patience
        self._clock = clock
        self._timeouts = timeouts
        self._take = take

    async def run(self) -> None:
        """Ask, keep, and confirm by asking for what comes after. An empty answer has confirmed: then the offset is
        dropped, as after a silent week Telegram counts from anywhere.
        """
        offset = 0
        while True:
            updates = await self._patience.persist(partial(self._fetch, offset))
            offset = await self._keep(updates, offset) if updates else 0

    async def _fetch(self, offset: int) -> list[object]:
        asked = {"offset": offset, "timeout": self._timeouts.poll, "allowed_updates": WANTED}
        read = self._timeouts.poll + self._timeouts.read
        updates: object = await self._bot.do_api_request(GET_UPDATES, api_kwargs=asked, read_timeout=read)
        if not isinstance(updates, list):
            raise TelegramError("updates are a list")
        return updates

    async def _keep(self, updates: Sequence[object], offset: int) -> int:
        """Keep updates, in order, as far as the store takes them; the offset that confirms those."""
        for update in updates:
            try:
                await self._take(update)
            except StoreError as error:
                log.warning("update not taken", update=update_id(update), error=type(error).__name__)
                await self._clock.sleep(STORE_PAUSE)
                break
            offset = max(offset, update_id(update) + 1)
        return offset
