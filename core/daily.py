"""What happened on each day: the figures of the operator's overview.

A message is a turn of a person's conversation with the bot, also one that was refused. What is said in a hand-off, what
the bot says unasked, and messages that were withdrawn are none. All figures belong to the day on which the message was
accepted, also the thumbs that its answer got later; a hand-off to that on which it was asked for.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from itertools import chain

from core.messages import ANSWERS, Label, Source
from core.outcomes import Wait, wait_of

SOURCES = (Source.KNOWLEDGE, Source.CACHE, Source.MODEL, Source.COMMAND, Source.REFUSAL)
"""Those of replies to messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What is counted in a span. `waits` are seconds from a message to its answer, without those of answers that were
    begun anew since the message was changed. `first_pieces` are seconds from the claim of a turn to the model's first
    words. `tokens` were generated in `seconds`, by the replies of which both are known.
    """

    messages: int = 0
    replies: Counter[Source] = field(default_factory=Counter)
    moods: Counter[Label] = field(default_factory=Counter)
    waits: "array[float]" = field(default_factory=lambda: array("d"))
    first_pieces: "array[float]" = field(default_factory=lambda: array("d"))
    tokens: int = 0
    seconds: float = 0.0
    up: int = 0
    down: int = 0
    handoffs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of a span. `tokens_per_second` is the model's mean over whole replies, None if it gave none;
    `cache_share` is the part of the answers that came from the cache, None if there was no answer.
    """

    messages: int
    replies: Mapping[Source, int]
    moods: Mapping[Label, int]
    wait: Wait
    first_piece: Wait
    tokens_per_second: float | None
    cache_share: float | None
    up: int
    down: int
    handoffs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The figures of a calendar day."""

    date: date
    figures: Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The figures of some days, oldest first, of which the last one is today, and of all of them together."""

    days: tuple[Day, ...]
    whole: Figures

    @property
    def today(self) -> Figures:
        return self.days[-1].figures


def days_until(now: float, zone: tzinfo, many: int) -> Iterator[date]:
    """So many calendar days of a time zone, the last of which is that of `now`."""
    today = datetime.fromtimestamp(now, zone).date()
    return (today - timedelta(days=before) for before in reversed(range(many)))


def begin_of(day: date, zone: tzinfo) -> float:
    """When a day begins, in UTC epoch seconds. Days of a zone with summer time are not all equally long."""
    return datetime.combine(day, time(), zone).timestamp()


def joined(tallies: Iterable[Tally]) -> Tally:
    """The tally of spans together."""
    parts = tuple(tallies)
    return Tally(
        messages=sum(part.messages for part in parts),
        replies=sum((part.replies for part in parts), Counter()),
        moods=sum((part.moods for part in parts), Counter()),
        waits=array("d", chain.from_iterable(part.waits for part in parts)),
        first_pieces=array("d", chain.from_iterable(part.first_pieces for part in parts)),
        tokens=sum(part.tokens for part in parts),
        seconds=sum(part.seconds for part in parts),
        up=sum(part.up for part in parts),
        down=sum(part.down for part in parts),
        handoffs=sum(part.handoffs for part in parts),
    )


def figures(tally: Tally) -> Figures:
    """The figures of what was counted."""
    answers = sum(tally.replies[source] for source in ANSWERS)
    return Figures(
        messages=tally.messages,
        replies={source: tally.replies[source] for source in SOURCES},
        moods={label: tally.moods[label] for label in Label},
        wait=wait_of(tally.waits),
        first_piece=wait_of(tally.first_pieces),
        tokens_per_second=tally.tokens / tally.seconds if tally.seconds else None,
        cache_share=tally.replies[Source.CACHE] / answers if answers else None,
        up=tally.up,
        down=tally.down,
        handoffs=tally.handoffs,
    )
