"""The figures of the last days are counted once for a page, in small steps."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta, timezone
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from core.clock import ManualClock
from core.latest_days import DAYS, FRESH, PAST_FRESH, LatestDays
from core.store import Store, records
from tests.core.conftest import Write
from tests.core.store.asking import ask

P = ParamSpec("P")
R = TypeVar("R")

DAY = 86_400.0


class Counting:
    """A store that counts the verbs that read."""

    def __init__(self, inner: Store) -> None:
        self.run = inner.run
        self.scrub = inner.scrub
        self.reads: Counter[str] = Counter()
        self._inner = inner

    async def read(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        self.reads[verb.__name__] += 1
        return await self._inner.read(verb, *args, **kwargs)


async def test_each_message_is_in_its_day(store: Store, clock: ManualClock, write: Write) -> None:
    """There are so many days, of which the last one is today, and the whole is their sum."""
    await ask(store, clock, write("one"))
    clock.advance(2 * DAY)
    for text in ("two", "three"):
        await ask(store, clock, write(text))
    found = await LatestDays(store, clock).overview()
    assert [day.figures.messages for day in found.days] == [0] * (DAYS - 3) + [1, 0, 2]
    assert (found.today.messages, found.whole.messages) == (2, 3)


async def test_days_are_those_of_the_time_zone(store: Store, clock: ManualClock, write: Write) -> None:
    """A message before midnight in one zone is one after midnight in another."""
    clock.jump(-(clock.now() % DAY) + DAY - 60)  # a minute before midnight in UTC
    await ask(store, clock, write("one"))
    clock.advance(3_600)
    for zone, expected in ((timezone(timedelta(hours=0)), [1, 0]), (timezone(timedelta(hours=2)), [0, 1])):
        found = await LatestDays(store, clock, zone).overview()
        assert [day.figures.messages for day in found.days[-2:]] == expected


async def test_a_page_and_its_charts_count_once(store: Store, clock: ManualClock) -> None:
    """Those who ask meanwhile, or soon after, get the same overview."""
    counting = Counting(store)
    latest = LatestDays(counting, clock)
    found = await asyncio.gather(*(latest.overview() for _ in range(9)))
    found.append(await latest.overview())
    assert all(one is found[0] for one in found)
    assert counting.reads == {"count": DAYS, "tally": DAYS}


async def test_today_is_counted_again_soon(store: Store, clock: ManualClock, write: Write) -> None:
    """After a minute today is, and none of the past days."""
    counting = Counting(store)
    latest = LatestDays(counting, clock)
    await latest.overview()
    await ask(store, clock, write("one"))
    clock.advance(FRESH)
    assert (await latest.overview()).today.messages == 1
    assert counting.reads["tally"] == DAYS + 1


async def test_past_days_are_counted_again_later(store: Store, clock: ManualClock, write: Write) -> None:
    """After /forget a person is in the figures of the past for so long at most."""
    await ask(store, clock, write("one"))
    clock.advance(DAY)
    latest = LatestDays(store, clock)
    assert (await latest.overview()).whole.messages == 1
    await store.run(records.forget, write("").sender, 0)
    clock.advance(PAST_FRESH)
    assert (await latest.overview()).whole.messages == 0


async def test_a_busy_day_is_counted_in_parts(store: Store, clock: ManualClock, write: Write) -> None:
    """No transaction counts many more turns than the others, so that messages can be stored between them."""
    for number in range(5):
        await ask(store, clock, write(str(number)))
    counting = Counting(store)
    assert (await LatestDays(counting, clock, at_once=2).overview()).today.messages == 5
    assert counting.reads["tally"] == DAYS - 1 + 3
