"""Each bound of a template's work on its own. What templates make of them stands in test_rendering.py."""

import sys
from math import inf

import pytest

from core.inference.tokens.bounds import Overrun, bounded


def count(lines: int) -> int:
    counted = 0
    for _ in range(lines):
        counted += 1
    return counted


def test_lines_are_counted() -> None:
    """More lines than allowed end with Overrun, however fast they are."""
    with bounded(max_steps=1000, max_cpu_seconds=inf):
        assert count(100) == 100
    with pytest.raises(Overrun), bounded(max_steps=1000, max_cpu_seconds=inf):
        count(10_000)


def test_time_on_the_cpu_is_bounded() -> None:
    """A few lines that take longer than allowed end with Overrun."""
    with pytest.raises(Overrun), bounded(max_cpu_seconds=0):
        count(10)


def test_nothing_is_counted_afterwards() -> None:
    """The interpreter is as before, whether a bound was reached or not."""
    before = sys.gettrace()
    with bounded():
        assert sys.gettrace() != before
    assert sys.gettrace() == before
    with pytest.raises(Overrun), bounded(max_cpu_seconds=0):
        count(10)
    assert sys.gettrace() == before
