"""Draws bars and lines with pygal, as SVG that needs nothing else: no script, no font, no other file.

Pictures are laid out for the width of a phone, and follow the reader's light or dark scheme.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10
from xml.etree.ElementTree import Element

from pygal import Line, StackedBar
from pygal.style import Style

from bots.admin.colours import LIGHT, Shade, css
from core.messages import Locale

WIDTH, HEIGHT = 360, 210
MARGIN = 8
LEGEND_ROW = 20
"""Pixels of a row of the legend."""
LEGENDS_A_ROW = 3
FONT = 'system-ui, -apple-system, "Segoe UI", "Noto Sans", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif'
FONT_SIZE = 12
ID = "days"
ROOT = f"#chart-{ID}"
"""The selector that pygal gives the whole picture by its id."""
DATED_EVERY = 7
"""Days from one date below the picture to the next."""
INTERVALS = 4
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
MADE_FOR_SCRIPTS = {"script", "desc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A line, or the parts of bars, with a value for each day, or None."""

    name: str
    shade: Shade
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn: lines, of which all but the first one are dashed, or bars with their parts one upon the other.

    `empty` are the words of a picture without a value. `write` says a value of the axis in words, and `is_whole` that
    values are whole numbers.
    """

    title: str
    empty: str
    locale: Locale
    days: Sequence[date]
    drawn: Sequence[Drawn]
    write: Callable[[float], str]
    is_whole: bool
    is_line: bool


def draw(picture: Picture) -> bytes:
    """The SVG document, always the same one for the same picture. It takes 10 ms of computing."""
    chart = (Line if picture.is_line else StackedBar)(**_look(picture.drawn), **_axes(picture))
    chart.uuid = ID
    chart.no_data_text = picture.empty
    is_empty = not any(value for one in picture.drawn for value in one.values)
    for number, one in enumerate(picture.drawn):
        is_dashed = picture.is_line and number > 0
        values = [None] * len(one.values) if is_empty else one.values
        chart.add(one.name, values, stroke_style={"dasharray": "5, 3"} if is_dashed else None)
    chart.add_xml_filter(lambda root: _stripped(root, picture))
    svg: bytes = chart.render()
    return svg


def ticks(top: float, *, is_whole: bool) -> list[float]:
    """Round values from 0 to the first one that is not below `top`; not more than INTERVALS above 0."""
    if top <= 0:
        return [0.0, 1.0]
    power = 10.0 ** floor(log10(top / INTERVALS))
    step = next(step * power for step in STEPS if step * power * INTERVALS >= top)
    if is_whole:
        step = ceil(step)
    return [number * step for number in range(ceil(top / step) + 1)]


def _look(drawn: Sequence[Drawn]) -> Mapping[str, object]:
    legends = len(drawn) if len(drawn) > 1 else 0
    columns = min(max(legends, 1), LEGENDS_A_ROW)
    rows, reserved = ceil(legends / columns), legends // columns  # pygal forgets a row that is not full
    return {
        "width": WIDTH,
        "height": HEIGHT + rows * LEGEND_ROW,
        "explicit_size": True,
        "margin": MARGIN,
        "margin_right": 22,  # half of the last date
        "margin_bottom": MARGIN + (rows - reserved) * LEGEND_ROW,
        "spacing": 6,
        "css": ("file://style.css", "file://graph.css", f"inline:{css(ROOT, [one.shade for one in drawn])}"),
        "style": _style(drawn),
        "show_legend": legends > 0,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": columns,
        "legend_box_size": 11,
        "truncate_legend": -1,
        "dots_size": 2,
        "allow_interruptions": True,
    }


def _style(drawn: Sequence[Drawn]) -> Style:
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
        colors=tuple(LIGHT.shades[one.shade] for one in drawn),
        font_family=FONT,
        label_font_size=FONT_SIZE,
        major_label_font_size=FONT_SIZE,
        legend_font_size=FONT_SIZE,
        no_data_font_size=FONT_SIZE + 2,
        opacity="1",
        stroke_opacity="1",
        stroke_width="2",
        transition="0s",
    )


def _axes(picture: Picture) -> Mapping[str, object]:
    dates = [day.strftime("%m-%d") for day in picture.days]
    heights = zip(*([value or 0.0 for value in one.values] for one in picture.drawn), strict=True)
    top = max((max(height) if picture.is_line else sum(height) for height in heights), default=0.0)
    return {
        "x_labels": dates,
        "x_labels_major": dates[::-1][::DATED_EVERY],
        "show_minor_x_labels": False,
        "truncate_label": -1,
        "y_labels": ticks(top, is_whole=picture.is_whole),
        "value_formatter": picture.write,
        "include_x_axis": True,
    }


def _stripped(root: Element, picture: Picture) -> Element:
    """The picture without what pygal adds for its script, and without its comments."""
    for parent in list(root.iter()):
        for child in list(parent):
            is_comment = callable(child.tag)
            if is_comment or child.tag in MADE_FOR_SCRIPTS or child.get("class") == "plot tooltip-overlay":
                parent.remove(child)
    root.set("lang", picture.locale)
    root.set("role", "img")
    for title in root.findall("title"):
        title.text = picture.title
    return root
