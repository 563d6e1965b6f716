import pytest

from benchmarks.load import Crowd, Figures, measure, quantile

SMALL_CROWD = Crowd(people=10, seconds=1.0, reply=0.5)
LARGE_CROWD = Crowd(people=200, seconds=10.0, reply=5.0)
ACKNOWLEDGE_SECONDS = 20.0
"""Upper bound in seconds for an acknowledgement, far above that of any working machine."""


def check(figures: Figures, crowd: Crowd) -> None:
    assert figures.unanswered == 0
    assert figures.answered + figures.busy == crowd.people
    assert len(figures.acknowledged) >= crowd.people
    assert quantile(figures.acknowledged, 0.99) < ACKNOWLEDGE_SECONDS


@pytest.mark.parametrize("name", ["telegram", "slack"])
async def test_a_small_crowd_is_answered(name: str) -> None:
    """Ten people write to `parley run`: each message is acknowledged and answered."""
    figures = await measure(name, SMALL_CROWD)
    check(figures, SMALL_CROWD)
    assert figures.row(name, "alone").count("|") == 9


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("is_flooded", [False, True])
@pytest.mark.parametrize("name", ["telegram", "slack"])
async def test_a_large_crowd_is_answered(name: str, *, is_flooded: bool) -> None:
    """200 people within 10 s and replies of 5 s: each gets an answer or is told that the bot is busy."""
    figures = await measure(name, LARGE_CROWD, is_flooded=is_flooded)
    check(figures, LARGE_CROWD)


def test_quantiles_are_measured_values() -> None:
    """The 0.99 quantile is the 99th of a hundred values and the last of ten."""
    assert quantile(range(1, 101), 0.99) == 99
    assert quantile(range(1, 11), 0.99) == 10
    assert quantile([5], 0.5) == 5
