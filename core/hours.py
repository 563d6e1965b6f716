"""When people work: days and times of a week, such as "mon-fri 09:00-17:30", in a time zone."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Self

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPAN = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? +(\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)
MIDNIGHT = 24
"""The hour that ends a day: "18:00-24:00"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time of some days of the week; Monday is 0. It ends within its day, at midnight if `end` is None."""

    days: frozenset[int]
    begin: time
    end: time | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        found = SPAN.fullmatch(text.strip().lower())
        if found is None or not {found[1], found[2] or found[1]} <= {*DAYS}:
            raise ValueError(f'{text!r} should be like "mon-fri 09:00-17:30" or "sat 10:00-14:00"')
        first, last = DAYS.index(found[1]), DAYS.index(found[2] or found[1])
        begin = time(int(found[3]), int(found[4]))
        end = None if int(found[5]) == MIDNIGHT and int(found[6]) == 0 else time(int(found[5]), int(found[6]))
        if end is not None and end <= begin:
            raise ValueError(f"{text!r} should end after it begins")
        return cls(days=frozenset((first + step) % 7 for step in range((last - first) % 7 + 1)), begin=begin, end=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Opening hours. Without spans they are always open."""

    spans: Sequence[Span] = ()
    zone: tzinfo = UTC

    def next_open(self, now: float) -> float:
        """When they are open next, in UTC epoch seconds: `now` if they are open, or never close."""
        if not self.spans:
            return now
        return min(max(now, begin) for begin, end in self._openings(now) if end > now)

    def _openings(self, now: float) -> Iterator[tuple[float, float]]:
        """The begins and ends from yesterday on, for more than a week."""
        today = datetime.fromtimestamp(now, self.zone).date()
        for day in (today + timedelta(days=number) for number in range(-1, 9)):
            for span in self.spans:
                if day.weekday() in span.days:
                    last = datetime.combine(day + timedelta(days=span.end is None), span.end or time(), self.zone)
                    yield datetime.combine(day, span.begin, self.zone).timestamp(), last.timestamp()
