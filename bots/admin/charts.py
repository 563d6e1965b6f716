"""The charts of the operator's overview, as pictures and as tables. They have numbers, dates and the bot's own words,
and never those of a person.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from bots.admin.colours import Shade
from bots.admin.pictures import Drawn, Picture, draw
from core.daily import Figures, Overview
from core.i18n import say
from core.messages import Label, Locale, Source
from core.outcomes import Wait

NO_VALUE = "–"


class Unit(Enum):
    """What the values of a chart are."""

    COUNT = "count"
    AMOUNT = "amount"
    SHARE = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A value of each day. `name` is a key of `core/i18n.py`."""

    name: str
    value: Callable[[Figures], float | None]
    shade: Shade = Shade.BLUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Series over the days, as lines, or as bars with their parts one upon the other.

    `title` is a key of `core/i18n.py`. It says the unit, and is to stand above the picture.
    """

    title: str
    series: Sequence[Series]
    unit: Unit = Unit.COUNT
    is_line: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The numbers of a chart in words, a row for each day."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


def _one(name: str, value: Callable[[Figures], float | None]) -> Sequence[Series]:
    return (Series(name=name, value=value),)


def _waits(wait: Callable[[Figures], Wait]) -> Sequence[Series]:
    return (
        Series(name="charts.median", value=lambda figures: wait(figures).median),
        Series(name="charts.p90", value=lambda figures: wait(figures).p90, shade=Shade.ORANGE),
    )


def _of_source(source: Source, shade: Shade) -> Series:
    return Series(name=f"charts.{source}", value=lambda figures: figures.replies[source], shade=shade)


def _of_mood(label: Label, shade: Shade) -> Series:
    return Series(name=f"mood.{label}", value=lambda figures: figures.moods[label], shade=shade)


SOURCES = (
    _of_source(Source.MODEL, Shade.BLUE),
    _of_source(Source.CACHE, Shade.ORANGE),
    _of_source(Source.KNOWLEDGE, Shade.GREEN),
    _of_source(Source.COMMAND, Shade.GREY),
    _of_source(Source.REFUSAL, Shade.RED),
)
MOODS = (
    _of_mood(Label.POSITIVE, Shade.BLUE),
    _of_mood(Label.NEUTRAL, Shade.GREY),
    _of_mood(Label.NEGATIVE, Shade.ORANGE),
)
THUMBS = (
    Series(name="charts.up", value=lambda figures: figures.up),
    Series(name="charts.down", value=lambda figures: figures.down, shade=Shade.ORANGE),
)
CHARTS: Mapping[str, Chart] = MappingProxyType(
    {
        "messages": Chart(title="charts.messages", series=_one("charts.messages", lambda figures: figures.messages)),
        "sources": Chart(title="charts.sources", series=SOURCES),
        "moods": Chart(title="charts.moods", series=MOODS),
        "waits": Chart(
            title="charts.waits", series=_waits(lambda figures: figures.wait), unit=Unit.AMOUNT, is_line=True
        ),
        "first_words": Chart(
            title="charts.first_words",
            series=_waits(lambda figures: figures.first_piece),
            unit=Unit.AMOUNT,
            is_line=True,
        ),
        "speed": Chart(
            title="charts.speed",
            series=_one("charts.speed", lambda figures: figures.tokens_per_second),
            unit=Unit.AMOUNT,
            is_line=True,
        ),
        "cache": Chart(
            title="charts.cache_share",
            series=_one("charts.cache_share", lambda figures: figures.cache_share),
            unit=Unit.SHARE,
            is_line=True,
        ),
        "thumbs": Chart(title="charts.thumbs", series=THUMBS),
        "handoffs": Chart(title="charts.handoffs", series=_one("charts.handoffs", lambda figures: figures.handoffs)),
    }
)
"""All charts by their names, in the order of the page."""


def render(name: str, overview: Overview, locale: Locale) -> bytes:
    """A chart as an SVG document, for an `<img>`. It takes 10 ms of computing. Raises KeyError if there is none."""
    chart = CHARTS[name]
    return draw(
        Picture(
            title=say(locale, chart.title),
            empty=say(locale, "charts.empty"),
            locale=locale,
            days=tuple(day.date for day in overview.days),
            drawn=tuple(
                Drawn(
                    name=say(locale, series.name),
                    shade=series.shade,
                    values=tuple(series.value(day.figures) for day in overview.days),
                )
                for series in chart.series
            ),
            write=lambda value: _on_axis(value, chart.unit),
            is_whole=chart.unit is Unit.COUNT,
            is_line=chart.is_line,
        )
    )


def table(name: str, overview: Overview, locale: Locale) -> Table:
    """The numbers of a chart. Raises KeyError if there is none."""
    chart = CHARTS[name]
    return Table(
        header=(say(locale, "charts.day"), *(say(locale, series.name) for series in chart.series)),
        rows=tuple(
            (day.date.isoformat(), *(written(series.value(day.figures), chart.unit) for series in chart.series))
            for day in overview.days
        ),
    )


def written(value: float | None, unit: Unit) -> str:
    """A value as tables have it, without the unit of an amount."""
    if value is None:
        return NO_VALUE
    return {Unit.COUNT: f"{value:,.0f}", Unit.AMOUNT: f"{value:,.1f}", Unit.SHARE: f"{value:.1%}"}[unit]


def _on_axis(value: float, unit: Unit) -> str:
    return {Unit.COUNT: f"{value:,.0f}", Unit.AMOUNT: f"{value:,g}", Unit.SHARE: f"{value * 100:g}%"}[unit]
