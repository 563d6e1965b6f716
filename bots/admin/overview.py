"""The first page: what happened today and in the last days."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from bots.admin.charts import CHARTS, NO_VALUE, Table, Unit, render, table, written
from bots.admin.office import Here, Operator
from bots.admin.rendering import HEADERS
from core.daily import Figures, Overview
from core.i18n import say
from core.messages import ANSWERS, Locale

router = APIRouter()
PICTURE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
"""A picture brings its own style."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number of today, and the same of all days together. `name` is a key of `core/i18n.py`."""

    name: str
    today: str
    whole: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A chart as the page shows it: a picture, and its numbers."""

    name: str
    title: str
    numbers: Table


@router.get("/")
async def overview(visit: Operator, here: Here) -> Response:
    found = await here.latest_days.overview()
    drawn = [_drawn(name, found, visit.locale) for name in CHARTS]
    return visit.page("overview.html", figures=list(in_short(found)), charts=drawn)


@router.get("/charts/{name}.svg")
async def chart(visit: Operator, here: Here, name: str) -> Response:
    if name not in CHARTS:
        raise HTTPException(404)
    svg = await asyncio.to_thread(render, name, await here.latest_days.overview(), visit.locale)
    return Response(svg, media_type="image/svg+xml", headers=HEADERS | PICTURE)


def _answers(figures: Figures) -> str:
    return written(sum(figures.replies[source] for source in ANSWERS), Unit.COUNT)


def _seconds(seconds: float | None) -> str:
    return NO_VALUE if seconds is None else f"{seconds:.1f} s"


def _thumbs(figures: Figures) -> str:
    return f"{figures.up} / {figures.down}"


NUMBERS: Mapping[str, Callable[[Figures], str]] = {
    "charts.messages": lambda figures: written(figures.messages, Unit.COUNT),
    "admin.answers": _answers,
    "admin.wait": lambda figures: _seconds(figures.wait.median),
    "charts.cache_share": lambda figures: written(figures.cache_share, Unit.SHARE),
    "charts.thumbs": _thumbs,
    "charts.handoffs": lambda figures: written(figures.handoffs, Unit.COUNT),
}
"""The numbers above the charts, by the keys of their names."""


def in_short(found: Overview) -> Iterator[Figure]:
    """The numbers above the charts."""
    for name, of in NUMBERS.items():
        yield Figure(name=name, today=of(found.today), whole=of(found.whole))


def _drawn(name: str, found: Overview, locale: Locale) -> Drawn:
    return Drawn(name=name, title=say(locale, CHARTS[name].title), numbers=table(name, found, locale))
