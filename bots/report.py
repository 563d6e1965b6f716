"""`parley report`: what became of people's questions in the last hours, days or weeks."""

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TextIO

from bots.dates import minute
from bots.stores import open_existing_store
from config.settings import Settings
from core.messages import Source
from core.outcomes import Outcomes, Wait
from core.store import Store, outcomes

SPAN = re.compile(r"([1-9]\d{0,3})([hdw])")
HOUR, DAY = 3_600.0, 86_400.0
SECONDS = {"h": HOUR, "d": DAY, "w": 7 * DAY}
NAMES = {Source.KNOWLEDGE: "word for word", Source.CACHE: "from the cache", Source.MODEL: "by the model"}
COLUMNS = (
    *("day", "cases", "resolved", "handed_over", "reopened"),
    *("questions", "knowledge", "cache", "model", "unanswered", "gaps"),
    *("first_answer_median", "first_answer_p90", "takeover_median", "takeover_p90"),
    *("up_knowledge", "up_cache", "up_model", "down_knowledge", "down_cache", "down_model"),
)


def seconds_of(span: str) -> float:
    """The seconds of "36h", "7d" or "4w". Raises ValueError."""
    found = SPAN.fullmatch(span.strip())
    if found is None:
        raise ValueError(f"{span!r} should be a number of hours, days or weeks, such as 36h, 7d or 4w")
    return int(found[1]) * SECONDS[found[2]]


async def report(settings: Settings, span: float, now: float, out: TextIO) -> None:
    """Print the outcomes of the `span` seconds before `now`. Raises ConfigError if there is no store yet."""
    async with open_existing_store(settings) as store:
        found = await store.read(outcomes.measure, now - span, now)
    for line in _lines(found, now - span, now):
        print(line.rstrip(), file=out)


async def report_as_csv(settings: Settings, span: float, now: float, out: TextIO) -> None:
    """Write a row for each day in UTC, from the one of `now - span` to that of `now`. Waits are in seconds."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    async with open_existing_store(settings) as store:
        begin = (now - span) // DAY * DAY
        while begin <= now:
            table.writerow(await _row(store, begin))
            begin += DAY


async def _row(store: Store, begin: float) -> Sequence[object]:
    found = await store.read(outcomes.measure, begin, begin + DAY)
    waits = (found.first_answer.median, found.first_answer.p90, found.takeover.median, found.takeover.p90)
    return (
        *(_day(begin), found.cases, found.resolved, found.handed_over, found.reopened),
        *(found.questions, *(found.answers[source] for source in NAMES), found.unanswered, found.gaps),
        *("" if seconds is None else f"{seconds:.1f}" for seconds in waits),
        *(thumbs[source] for thumbs in (found.up, found.down) for source in NAMES),
    )


def _lines(found: Outcomes, since: float, until: float) -> Iterator[str]:
    yield f"{minute(since)} to {minute(until)} UTC"
    yield _line("cases", found.cases)
    yield _line("  resolved without a person", found.resolved, _share(found.resolved, found.cases))
    yield _line("  handed over", found.handed_over, _share(found.handed_over, found.cases))
    yield _line("  reopened within 7 days", found.reopened, _share(found.reopened, found.cases))
    yield _line("questions", found.questions)
    for source, name in NAMES.items():
        thumbs = f"{found.up[source]} up, {found.down[source]} down"
        yield _line(f"  answered {name}", found.answers[source], thumbs)
    yield _line("  not answered", found.unanswered)
    yield _line("  without a good answer", found.gaps, "see parley knowledge gaps" if found.gaps else "")
    yield f"{'time to the first answer':30}{_wait(found.first_answer)}"
    yield f"{'time until a person took over':30}{_wait(found.takeover)}"


def _line(name: str, count: int, more: str = "") -> str:
    return f"{name:30}{count:6}  {more}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""


def _wait(wait: Wait) -> str:
    if wait.median is None or wait.p90 is None:
        return "     -"
    return f"{_spoken(wait.median)} in the median, {_spoken(wait.p90)} at the 90th percentile"


def _spoken(seconds: float) -> str:
    if seconds < 2 * 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.1f} h"


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()
