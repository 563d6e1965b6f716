"""The languages that people have set in Slack, which Slack tells an app with the scope users:read."""

from dataclasses import replace

import structlog
from cachetools import TTLCache

from bots.slack.api import SlackApi
from core.clock import Clock
from core.errors import DeliveryRejected
from core.language import locale_of_tag
from core.messages import Locale, Person

log = structlog.get_logger()

DAY = 86_400.0
REMEMBERED = 4_096
"""People whose language is remembered for a day, the latest ones."""


class Locales:
    """The languages of one workspace's people. Without the scope they are not asked for again."""

    def __init__(self, api: SlackApi, clock: Clock) -> None:
        self._api = api
        self._known: TTLCache[str, Locale | None] = TTLCache(REMEMBERED, ttl=DAY, timer=clock.monotonic)
        self._may_ask = True

    async def hinted(self, person: Person) -> Person:
        """The person with their language, if Slack tells it. Raises DeliveryFailed."""
        if person.id not in self._known and self._may_ask:
            try:
                self._known[person.id] = locale_of_tag(await self._api.language_tag(person.id))
            except DeliveryRejected as error:
                log.info("people's languages are not told", reason=error.reason)
                self._may_ask = error.reason != "missing_scope"
        return replace(person, locale=self._known.get(person.id))
