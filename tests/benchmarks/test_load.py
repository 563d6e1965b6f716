import pytest

from benchmarks.load import Crowd, Figures, measure, quantile

SMALL = Crowd(people=10, seconds=1.0, reply=0.5)
WHOLE = Crowd(people=200, seconds=10.0, reply=5.0)
GENEROUS = 20.0
"""Seconds: what no machine takes to say "received" unless something is broken. Figures are the benchmark's business."""


def check(figures: Figures, crowd: Crowd) -> None:
    assert figures.silent == 0
    assert figures.answered + figures.busy == crowd.people
    assert len(figures.acknowledged) >= crowd.people
    assert quantile(figures.acknowledged, 0.99) < GENEROUS


@pytest.mark.parametrize("name", ["telegram", "slack"])
async def test_everybody_in_a_crowd_hears_something(name: str) -> None:
    """Ten people write to a whole `parley run`: each message is acknowledged, each ends in an answer."""
    figures = await measure(name, SMALL)
    check(figures, SMALL)
    assert figures.row(name, "alone").count("|") == 9


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("is_flooded", [False, True])
@pytest.mark.parametrize("name", ["telegram", "slack"])
async def test_everybody_in_a_large_crowd_hears_something(name: str, *, is_flooded: bool) -> None:
    """200 people within ten seconds, and a model of five: an answer, or a word that the bot is busy; never silence."""
    figures = await measure(name, WHOLE, is_flooded=is_flooded)
    check(figures, WHOLE)


def test_quantiles_are_figures_that_were_measured() -> None:
    """Of a hundred the 99th; of ten the last."""
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile(range(1, 11), 0.99) == 10
    assert quantile([5], 0.5) == 5
