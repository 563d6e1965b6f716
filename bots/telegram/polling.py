"""Long polling: ask Telegram for updates, and confirm them once they are in the store."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import structlog

from bots.connection import Connection
from bots.telegram.api import MOST_UPDATES, TelegramApi
from bots.telegram.payloads import update_id
from core.clock import Clock
from core.errors import AnswerUnreadable, StoreError

log = structlog.get_logger()

STORE_PAUSE = 1.0
"""Seconds until an update that the store did not take is asked for again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds: `poll` is how long Telegram holds a request for updates open, `read` how long an answer may take."""

    poll: int = 25
    read: float = 10.0


class Poller:
    """One endless loop. `take` commits an update to the store or raises StoreError."""

    def __init__(
        self,
        api: TelegramApi,
        connection: Connection,
        clock: Clock,
        timeouts: Timeouts,
        take: Callable[[object], Awaitable[None]],
    ) -> None:
        self._api = api
        self._connection = connection
        self._clock = clock
        self._timeouts = timeouts
        self._take = take
        self._one_by_one = 0

    async def run(self) -> None:
        """Fetch updates, commit them, and confirm them by asking for those after them.

        After an empty answer, which confirms all before it, the offset starts at 0 again: after a week without updates
        Telegram numbers them from anywhere.
        """
        offset = 0
        while True:
            updates = await self._connection.persist(partial(self._fetch, offset))
            offset = await self._commit(updates, offset) if updates else 0

    async def _fetch(self, offset: int) -> list[object]:
        """Ask for updates: one by one after an answer that cannot be read, to find and skip the one at fault."""
        poll, read = self._timeouts.poll, self._timeouts.read
        limit = 1 if self._one_by_one else MOST_UPDATES
        try:
            updates = await self._api.get_updates(offset, poll=poll, read_timeout=poll + read, limit=limit)
        except AnswerUnreadable:
            self._one_by_one = MOST_UPDATES
            raise
        self._one_by_one = max(0, self._one_by_one - 1)
        return updates

    async def _commit(self, updates: Sequence[object], offset: int) -> int:
        """Commit updates in order, up to the first that the store does not take; the offset that confirms them."""
        for update in updates:
            try:
                await self._take(update)
            except StoreError as error:
                log.warning("update not taken", update=update_id(update), error=type(error).__name__)
                await self._clock.sleep(STORE_PAUSE)
                break
            offset = max(offset, update_id(update) + 1)
        return offset
