"""The figures of the last days, which are kept in memory: a page and its charts count them once."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, timedelta, tzinfo
from itertools import pairwise

from cachetools import TLRUCache, TTLCache

from core.clock import Clock
from core.daily import Day, Overview, Tally, begin_of, days_until, figures, joined
from core.store import Store, daily

DAYS = 30
FRESH = 60.0
"""Seconds for which an overview is shown again, and today is not counted again."""
PAST_FRESH = 900.0
"""Seconds for which a past day is not counted again: late votes and /forget change it."""
AT_ONCE = 4_000
"""Turns that one transaction counts, about. It takes some 20 ms, for which a message may have to wait."""


class LatestDays:
    """The figures of the last DAYS days in a time zone, today included."""

    def __init__(self, store: Store, clock: Clock, zone: tzinfo = UTC, *, at_once: int = AT_ONCE) -> None:
        self._store = store
        self._clock = clock
        self._zone = zone
        self._at_once = at_once
        self._counting = asyncio.Lock()
        self._overviews: TTLCache[str, Overview] = TTLCache(1, FRESH, timer=clock.monotonic)
        self._tallies: TLRUCache[date, Tally] = TLRUCache(DAYS, self._fresh_until, timer=clock.monotonic)

    async def overview(self) -> Overview:
        """At most FRESH seconds old. Raises StoreError."""
        async with self._counting:  # those who ask meanwhile get the same one
            if (kept := self._overviews.get("")) is not None:
                return kept
            days = days_until(self._clock.now(), self._zone, DAYS)
            tallies = {day: await self._tally(day) for day in days}
            made = self._overviews[""] = await asyncio.to_thread(_overview, tallies)
            return made

    async def _tally(self, day: date) -> Tally:
        if (kept := self._tallies.get(day)) is not None:
            return kept
        begin, end = begin_of(day, self._zone), begin_of(day + timedelta(1), self._zone)
        parts = 1 + await self._store.read(daily.count, begin, end) // self._at_once
        cuts = [begin + (end - begin) * part / parts for part in range(parts)]
        counted = [await self._store.read(daily.tally, since, until) for since, until in pairwise([*cuts, end])]
        made = self._tallies[day] = joined(counted)
        return made

    def _fresh_until(self, day: date, _tally: Tally, counted_at: float) -> float:
        is_past = begin_of(day + timedelta(1), self._zone) <= self._clock.now()
        return counted_at + (PAST_FRESH if is_past else FRESH)


def _overview(tallies: Mapping[date, Tally]) -> Overview:
    """It takes some milliseconds to find the medians of very many waits."""
    return Overview(
        days=tuple(Day(date=day, figures=figures(tally)) for day, tally in tallies.items()),
        whole=figures(joined(tallies.values())),
    )
