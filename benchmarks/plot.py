"""Bar chart of the ratios as SVG, on a logarithmic scale, with a mark at each target."""

from collections.abc import Sequence
from html import escape
from math import log2

from benchmarks.figures import Figure

ROW, TOP, LEFT, WIDTH = 26, 40, 500, 380
LOW, HIGH = -4.0, 4.0  # ends of the scale, as powers of two
REACHED, MISSED, NEUTRAL = "#2e7d32", "#c62828", "#607d8b"
TICKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16)


def plot(figures: Sequence[Figure]) -> str:
    """SVG with a bar for each figure that has a ratio."""
    shown = [figure for figure in figures if figure.ratio]
    height = TOP + ROW * len(shown) + 10
    parts = [_tick(ratio, height) for ratio in TICKS]
    parts += [_row(figure, TOP + ROW * number) for number, figure in enumerate(shown)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 60} {height}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="8" y="20">ratio to the baseline, logarithmic; above 1 Parley is better; black mark: target</text>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _x(ratio: float) -> float:
    power = min(max(log2(ratio), LOW), HIGH)
    return LEFT + WIDTH * (power - LOW) / (HIGH - LOW)


def _tick(ratio: float, height: int) -> str:
    name = f"{ratio:g}" if ratio >= 1 else f"1/{1 / ratio:g}"
    colour = "#333" if ratio == 1 else "#ddd"
    return (
        f'<line x1="{_x(ratio):.0f}" x2="{_x(ratio):.0f}" y1="{TOP - 6}" y2="{height - 6}" stroke="{colour}"/>'
        f'<text x="{_x(ratio):.0f}" y="{TOP - 10}" text-anchor="middle" fill="#555">{name}</text>'
    )


def _row(figure: Figure, y: int) -> str:
    assert figure.ratio
    colour = NEUTRAL if figure.target is None else REACHED if figure.is_reached else MISSED
    left, right = sorted((_x(1), _x(figure.ratio.median)))
    mark = f'<rect x="{_x(figure.target) - 1:.0f}" y="{y}" width="3" height="18"/>' if figure.target else ""
    name = escape(f"{figure.workload}: {figure.baseline}")
    return (
        f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{name}</text>'
        f'<rect x="{left:.0f}" y="{y + 3}" width="{max(right - left, 1):.0f}" height="12" fill="{colour}"/>{mark}'
        f'<text x="{LEFT + WIDTH + 8}" y="{y + 13}">{figure.ratio.median:.2f}</text>'
    )
