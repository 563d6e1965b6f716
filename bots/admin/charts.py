"""The charts of the operator's overview, as SVG that needs nothing else: no script, no font, no other file.

They are laid out for the width of a phone. Colours follow the reader's light or dark scheme, and differ in lightness
too. A chart has numbers, dates and the bot's own words only.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from math import ceil, floor, log10
from types import MappingProxyType
from xml.etree.ElementTree import Element

from pygal import Line, StackedBar
from pygal.style import Style

from core.daily import Figures, Overview
from core.i18n import say
from core.messages import Label, Locale, Source

WIDTH, HEIGHT = 360, 210
LEGEND_ROW = 20
"""Pixels of a row of the legend."""
LEGENDS_A_ROW = 3
FONT = 'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif'
ID = "days"
ROOT = f"#chart-{ID}"
"""The selector that pygal gives the whole picture by its id."""
LABELLED_EVERY = 7
"""Days from one date below the chart to the next."""
INTERVALS = 4
"""Lines across a chart, at most, above the one of 0."""
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
NO_VALUE = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """Colours of a scheme: those of the card on which the chart lies, of words and of lines, and of the shades."""

    card: str
    ink: str
    line: str
    shades: Sequence[str]


LIGHT = Scheme(
    card="#ffffff", ink="#3c4a45", line="#cdd7d3", shades=("#0f7a5a", "#cb8200", "#1c3f8f", "#6f7a76", "#5a0a20")
)
DARK = Scheme(
    card="#1b2321", ink="#c3d0ca", line="#394642", shades=("#3f9f7c", "#d79a2b", "#8db4ff", "#76827e", "#ffc2cf")
)
_GREEN, _ORANGE, _BLUE, _GREY, _RED = range(5)


class Unit(Enum):
    """What the values of a chart are. Each has a way to write them on the axis, and one for the table."""

    COUNT = ("{:,.0f}", "{:,.0f}")
    AMOUNT = ("{:,g}", "{:,.1f}")
    SHARE = ("{:.0%}", "{:.1%}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A value of each day. `name` is a key of `core/i18n.py`, and `shade` one of the colours."""

    name: str
    value: Callable[[Figures], float | None]
    shade: int = _BLUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Series over the days: lines, of which the second one is dashed, or bars, one upon the other.

    `title` is a key of `core/i18n.py`; it says the unit, and stands on the page instead of in the picture.
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


def _of_source(source: Source, shade: int) -> Series:
    return Series(name=f"charts.{source}", value=lambda figures: figures.replies[source], shade=shade)


def _of_mood(label: Label, shade: int) -> Series:
    return Series(name=f"mood.{label}", value=lambda figures: figures.moods[label], shade=shade)


CHARTS: Mapping[str, Chart] = MappingProxyType(
    {
        "messages": Chart(
            title="charts.messages", series=(Series(name="charts.messages", value=lambda figures: figures.messages),)
        ),
        "sources": Chart(
            title="charts.sources",
            series=(
                _of_source(Source.MODEL, _BLUE),
                _of_source(Source.CACHE, _ORANGE),
                _of_source(Source.KNOWLEDGE, _GREEN),
                _of_source(Source.COMMAND, _GREY),
                _of_source(Source.REFUSAL, _RED),
            ),
        ),
        "moods": Chart(
            title="charts.moods",
            series=(
                _of_mood(Label.POSITIVE, _BLUE),
                _of_mood(Label.NEUTRAL, _GREY),
                _of_mood(Label.NEGATIVE, _ORANGE),
            ),
        ),
        "waits": Chart(
            title="charts.waits",
            series=(
                Series(name="charts.median", value=lambda figures: figures.wait.median),
                Series(name="charts.p90", value=lambda figures: figures.wait.p90, shade=_ORANGE),
            ),
            unit=Unit.AMOUNT,
            is_line=True,
        ),
        "first_words": Chart(
            title="charts.first_words",
            series=(
                Series(name="charts.median", value=lambda figures: figures.first_piece.median),
                Series(name="charts.p90", value=lambda figures: figures.first_piece.p90, shade=_ORANGE),
            ),
            unit=Unit.AMOUNT,
            is_line=True,
        ),
        "speed": Chart(
            title="charts.speed",
            series=(Series(name="charts.speed", value=lambda figures: figures.tokens_per_second),),
            unit=Unit.AMOUNT,
            is_line=True,
        ),
        "cache": Chart(
            title="charts.cache_share",
            series=(Series(name="charts.cache_share", value=lambda figures: figures.cache_share),),
            unit=Unit.SHARE,
            is_line=True,
        ),
        "thumbs": Chart(
            title="charts.thumbs",
            series=(
                Series(name="charts.up", value=lambda figures: figures.up),
                Series(name="charts.down", value=lambda figures: figures.down, shade=_ORANGE),
            ),
        ),
        "handoffs": Chart(
            title="charts.handoffs", series=(Series(name="charts.handoffs", value=lambda figures: figures.handoffs),)
        ),
    }
)
"""All charts by their names, in the order of the page."""


def render(name: str, overview: Overview, locale: Locale) -> bytes:
    """A chart as an SVG document. It takes some milliseconds of computing. Raises KeyError if there is none."""
    chart = CHARTS[name]
    columns = [[series.value(day.figures) for day in overview.days] for series in chart.series]
    drawn = (Line if chart.is_line else StackedBar)(**_look(chart), **_axes(chart, overview, columns))
    drawn.uuid = ID
    drawn.no_data_text = say(locale, "charts.empty")
    is_empty = not any(value for column in columns for value in column)
    for number, (series, column) in enumerate(zip(chart.series, columns, strict=True)):
        values = [None] * len(column) if is_empty else column
        is_dashed = chart.is_line and number > 0
        drawn.add(say(locale, series.name), values, stroke_style={"dasharray": "5, 3"} if is_dashed else None)
    drawn.add_xml_filter(lambda root: _stripped(root, say(locale, chart.title), locale))
    svg: bytes = drawn.render()
    return svg


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
    """A value in words, as tables have it."""
    return NO_VALUE if value is None else unit.value[1].format(value)


def _look(chart: Chart) -> Mapping[str, object]:
    legends = len(chart.series) if len(chart.series) > 1 else 0
    columns = min(max(legends, 1), LEGENDS_A_ROW)
    rows, reserved = ceil(legends / columns), legends // columns  # pygal forgets a row that is not full
    return {
        "width": WIDTH,
        "height": HEIGHT + rows * LEGEND_ROW,
        "explicit_size": True,
        "margin": 8,
        "margin_right": 22,
        "margin_bottom": 8 + (rows - reserved) * LEGEND_ROW,
        "spacing": 6,
        "css": ("file://style.css", "file://graph.css", f"inline:{_css(chart)}"),
        "style": _style(chart),
        "show_legend": legends > 0,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": columns,
        "legend_box_size": 11,
        "truncate_legend": -1,
        "dots_size": 2,
        "allow_interruptions": True,
    }


def _axes(chart: Chart, overview: Overview, columns: Sequence[Sequence[float | None]]) -> Mapping[str, object]:
    days = [_short(day.date) for day in overview.days]
    stacks = [[value or 0.0 for value in values] for values in zip(*columns, strict=True)]
    top = max((max(stack) if chart.is_line else sum(stack) for stack in stacks), default=0.0)
    return {
        "x_labels": days,
        "x_labels_major": days[::-1][::LABELLED_EVERY],
        "show_minor_x_labels": False,
        "truncate_label": -1,
        "y_labels": ticks(top, chart.unit),
        "value_formatter": chart.unit.value[0].format,
        "include_x_axis": True,
    }


def ticks(top: float, unit: Unit) -> list[float]:
    """Round values from 0 to the first one that is not below `top`."""
    if top <= 0:
        return [0.0, 1.0]
    power = 10.0 ** floor(log10(top / INTERVALS))
    step = next(step * power for step in STEPS if step * power * INTERVALS >= top * (1 - 1e-9))
    if unit is Unit.COUNT:
        step = ceil(step)
    return [number * step for number in range(ceil(top / step * (1 - 1e-9)) + 1)]


def _short(day: date) -> str:
    return day.strftime("%m-%d")


def _style(chart: Chart) -> Style:
    return Style(
        background=LIGHT.card,
        plot_background=LIGHT.card,
        foreground=LIGHT.ink,
        foreground_strong=LIGHT.ink,
        foreground_subtle=LIGHT.line,
        guide_stroke_color=LIGHT.line,
        major_guide_stroke_color=LIGHT.line,
        guide_stroke_dasharray="none",
        major_guide_stroke_dasharray="none",
        colors=tuple(LIGHT.shades[series.shade] for series in chart.series),
        font_family=FONT,
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=12,
        no_data_font_size=14,
        opacity="1",
        stroke_opacity="1",
        stroke_width="2",
        transition="0s",
    )


def _css(chart: Chart) -> str:
    """What pygal's own style lacks: bars apart from each other, the dark scheme, and smaller words if there is room."""
    return "\n".join(
        (
            _bars(LIGHT),
            "@media (prefers-color-scheme: dark) {",
            *_dark(chart),
            "}",
            f"@media (min-width: 520px) {{ {ROOT} text {{ font-size: 9px !important }} }}",
        )
    )


def _bars(scheme: Scheme) -> str:
    return f"{_within('.bar .rect')} {{ stroke: {scheme.card}; stroke-width: 0.75 }}"


def _dark(chart: Chart) -> Iterator[str]:
    card = (_within(""), _within(".graph > .background"), _within(".plot > .background"))
    words = (_within("text"), _within("text.major"), _within("text.no_data"), _within(".legend text"))
    yield f"{card[0]} {{ background-color: {DARK.card} }}"
    yield f"{', '.join(card[1:])} {{ fill: {DARK.card} }}"
    yield f"{', '.join(words)} {{ fill: {DARK.ink} !important }}"
    yield f"{_within('.axis .line')}, {_within('.axis .guide.line')} {{ stroke: {DARK.line} !important }}"
    for number, series in enumerate(chart.series):
        shade = DARK.shades[series.shade]
        yield f"{_within(f'.color-{number}')} {{ fill: {shade}; stroke: {shade} }}"
    yield _bars(DARK)


def _within(selector: str) -> str:
    return f"{ROOT} {selector}".strip()


def _stripped(root: Element, title: str, locale: Locale) -> Element:
    """The picture without what pygal adds for its script, and with a title."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {"script", "desc"} or callable(child.tag) or child.get("class") == "plot tooltip-overlay":
                parent.remove(child)
    root.set("lang", locale)
    root.set("role", "img")
    for found in root.findall("title"):
        found.text = title
    return root
