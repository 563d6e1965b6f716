"""Exponential back-off."""

from core.backoff import Backoff


def test_pauses_double_up_to_the_longest() -> None:
    """The first pause, doubled with each failure in a row, never longer than the limit; no failure, no pause."""
    backoff = Backoff(first=1.0, longest=30.0)
    assert [backoff.pause(failures) for failures in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]


def test_any_count_of_failures_has_a_pause() -> None:
    """A server that is down for months does not overflow the arithmetic."""
    assert Backoff(first=0.5, longest=30.0).pause(10**6) == 30
