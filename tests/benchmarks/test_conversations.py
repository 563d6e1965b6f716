import pytest

from benchmarks.conversations import PEOPLE, TOKENS, TURNS, CrowdTimes


def test_short_replies_gain_nothing() -> None:
    """The total is that of replies of full length: if they have half of the tokens, it counts twice."""
    full = PEOPLE * TURNS * TOKENS
    assert CrowdTimes(total=6.0, first_tokens=[], tokens=full).scaled == pytest.approx(6.0)
    assert CrowdTimes(total=6.0, first_tokens=[], tokens=full // 2).scaled == pytest.approx(12.0)
