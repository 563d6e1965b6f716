"""Delivers updates by getUpdates or to the webhook, and repeats them until they are confirmed."""

import asyncio

from aiohttp import ClientError, ClientSession, ClientTimeout

from tests.fakes.telegram.clock import FakeClock
from tests.fakes.telegram.journal import Journal
from tests.fakes.telegram.world import DAY, Account, Json, Refused, Webhook

TICK = 0.02
"""Real seconds between two checks of the queue."""
REDELIVERY = 1.0
"""Virtual seconds between attempts if a webhook does not answer 200."""
OTHER = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
HOOKED = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"


class UpdateQueue:
    """The queue of one bot's updates."""

    def __init__(self, account: Account, clock: FakeClock, journal: Journal) -> None:
        self._account = account
        self._clock = clock
        self._journal = journal

    async def get_updates(self, given: Json) -> list[Json]:
        """Confirm the updates below the offset and wait for the others. A later poll ends this one."""
        if self._account.webhook:
            raise Refused(409, HOOKED)
        self._account.polls += 1
        mine = self._account.polls
        if "allowed_updates" in given:
            self._account.allowed = set(given["allowed_updates"])
        offset = int(given.get("offset", 0))
        self._confirm(offset)
        until = self._clock.now() + float(given.get("timeout", 0))
        while not (found := self._ready(int(given.get("limit", 100)), offset)) and self._clock.now() < until:
            await asyncio.sleep(TICK)
            if self._account.polls != mine:
                raise Refused(409, OTHER)
            if self._account.webhook:
                raise Refused(409, HOOKED)
        return found

    async def deliver(self) -> None:
        """Deliver updates to the webhook in order, one at a time, until cancelled."""
        async with ClientSession(timeout=ClientTimeout(total=5)) as session:
            while True:
                webhook = self._account.webhook
                if webhook is None or not (found := self._ready(1)):
                    await asyncio.sleep(TICK)
                elif await self._is_taken(session, webhook, found[0]):
                    self._confirm(found[0]["update_id"] + 1)
                else:
                    await self._clock.sleep(REDELIVERY)

    async def _is_taken(self, session: ClientSession, webhook: Webhook, update: Json) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": webhook.secret} if webhook.secret else {}
        try:
            async with session.post(webhook.url, json=update, headers=headers) as answer:
                self._journal.write(self._account.id, "delivery", update=update["update_id"], status=answer.status)
                return 200 <= answer.status < 300
        except (ClientError, TimeoutError):
            return False

    def _confirm(self, offset: int) -> None:
        pending = self._account.pending
        for update in [update for update in pending if update["update_id"] < offset]:
            pending.remove(update)
            waited = self._clock.now() - update.get("_at", self._clock.now())
            self._journal.write(self._account.id, "confirmed", update=update["update_id"], waited=round(waited, 3))

    def _ready(self, limit: int, offset: int = 0) -> list[Json]:
        """The pending updates from the offset on, as JSON; Telegram keeps them for a day."""
        pending = self._account.pending
        while pending and pending[0].get("_at", self._clock.now()) < self._clock.now() - DAY:
            self._journal.write(self._account.id, "expired", update=pending.popleft()["update_id"])
        due = [update for update in pending if update["update_id"] >= offset][:limit]
        return [{name: value for name, value in update.items() if name != "_at"} for update in due]
