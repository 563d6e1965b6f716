from dataclasses import replace
from xml.etree import ElementTree as ET

from benchmarks.figures import Figure
from benchmarks.plot import MISSED, NEUTRAL, REACHED, plot

GOOD = Figure(work="a < b", against="other", unit="s", ours=[1.0], theirs=[2.0], aim=1.5)


def test_draws_a_bar_for_every_ratio() -> None:
    """It is an XML document with one coloured bar a figure: reached, missed, or without an aim."""
    figures = [GOOD, replace(GOOD, aim=3.0), replace(GOOD, aim=None), replace(GOOD, theirs=())]
    drawn = list(ET.fromstring(plot(figures)).iter())
    colours = [element.get("fill") for element in drawn]
    assert [colours.count(colour) for colour in (REACHED, MISSED, NEUTRAL)] == [1, 1, 1]
    assert sum(element.text == "a < b: other" for element in drawn) == 3


def test_stays_inside_the_picture() -> None:
    """A ratio beyond the scale ends at its edge."""
    assert 'width="190"' in plot([replace(GOOD, theirs=[1000.0])])
