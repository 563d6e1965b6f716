"""The ratios as a picture: a bar for each, with a mark where the aim is. Plain SVG, on a logarithmic scale."""

from collections.abc import Sequence
from html import escape
from math import log2

from benchmarks.figures import Figure

ROW, TOP, LEFT, WIDTH = 26, 40, 430, 380
LOW, HIGH = -4.0, 4.0  # doublings
REACHED, MISSED, NEUTRAL = "#2e7d32", "#c62828", "#607d8b"
TICKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16)


def plot(figures: Sequence[Figure]) -> str:
    """SVG with a row for each figure that has a ratio."""
    shown = [figure for figure in figures if figure.ratio]
    height = TOP + ROW * len(shown) + 10
    parts = [_tick(ratio, height) for ratio in TICKS]
    parts += [_row(figure, TOP + ROW * number) for number, figure in enumerate(shown)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 60} {height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="8" y="20">how many times as good as the other; the black mark is the aim</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _x(ratio: float) -> float:
    place = min(max(log2(ratio), LOW), HIGH)
    return LEFT + WIDTH * (place - LOW) / (HIGH - LOW)


def _tick(ratio: float, height: int) -> str:
    name = f"{ratio:g}" if ratio >= 1 else f"1/{1 / ratio:g}"
    colour = "#333" if ratio == 1 else "#ddd"
    return (
        f'<line x1="{_x(ratio):.0f}" x2="{_x(ratio):.0f}" y1="{TOP - 6}" y2="{height - 6}" stroke="{colour}"/>'
        f'<text x="{_x(ratio):.0f}" y="{TOP - 10}" text-anchor="middle" fill="#555">{name}</text>'
    )


def _row(figure: Figure, y: int) -> str:
    assert figure.ratio
    colour = NEUTRAL if figure.aim is None else REACHED if figure.reached else MISSED
    left, right = sorted((_x(1), _x(figure.ratio.middle)))
    mark = f'<rect x="{_x(figure.aim) - 1:.0f}" y="{y}" width="3" height="18"/>' if figure.aim else ""
    name = escape(f"{figure.work}: {figure.against}")
    return (
        f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{name}</text>'
        f'<rect x="{left:.0f}" y="{y + 3}" width="{max(right - left, 1):.0f}" height="12" fill="{colour}"/>{mark}'
        f'<text x="{LEFT + WIDTH + 8}" y="{y + 13}">{figure.ratio.middle:.2f}</text>'
    )
