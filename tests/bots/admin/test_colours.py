"""Charts can be read by people who do not see the hue of a colour."""

from itertools import combinations

import pytest

from bots.admin.charts import CHARTS
from bots.admin.colours import DARK, LIGHT, Scheme


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_differ_in_lightness(scheme: Scheme) -> None:
    """For people who do not see their hue: each stands out from the card (WCAG 2.2, 1.4.11), and those of a chart from
    each other.
    """
    for chart in CHARTS.values():
        shades = [scheme.shades[series.shade] for series in chart.series]
        assert all(contrast(shade, scheme.card) >= 3 for shade in shades)
        assert all(contrast(one, other) >= 1.15 for one, other in combinations(shades, 2))
    assert contrast(scheme.ink, scheme.card) >= 7


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
