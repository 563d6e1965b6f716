from dataclasses import replace
from xml.etree import ElementTree as ET

from benchmarks.figures import Figure
from benchmarks.plot import MISSED, NEUTRAL, REACHED, plot

GOOD = Figure(workload="a < b", baseline="other", unit="s", ours=[1.0], theirs=[2.0], target=1.5)


def test_draws_a_bar_for_every_ratio() -> None:
    """The chart is XML with one bar per ratio, coloured by whether its target is reached, missed or not set."""
    figures = [GOOD, replace(GOOD, target=3.0), replace(GOOD, target=None), replace(GOOD, theirs=())]
    drawn = list(ET.fromstring(plot(figures)).iter())
    colours = [element.get("fill") for element in drawn]
    assert [colours.count(colour) for colour in (REACHED, MISSED, NEUTRAL)] == [1, 1, 1]
    assert sum(element.text == "a < b: other" for element in drawn) == 3


def test_bars_stay_inside_the_chart() -> None:
    """The bar of a ratio beyond the scale ends at the edge of the scale."""
    assert 'width="190"' in plot([replace(GOOD, theirs=[1000.0])])
