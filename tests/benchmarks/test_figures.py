from dataclasses import replace

from benchmarks.figures import Figure, table

SECONDS = Figure(workload="reply", baseline="other", unit="s", ours=[1.0, 2.0, 4.0], theirs=[3.0, 4.0, 4.0], target=2.0)
SPEED = replace(SECONDS, unit="tokens/s", more_is_better=True)


def test_parley_is_better_above_one() -> None:
    """A ratio above 1 means fewer seconds or more tokens per second; ratios are computed per round."""
    assert SECONDS.ratio
    assert SPEED.ratio
    assert (SECONDS.ratio.low, SECONDS.ratio.median, SECONDS.ratio.high) == (1.0, 2.0, 3.0)
    assert (SPEED.ratio.low, SPEED.ratio.median, SPEED.ratio.high) == (1 / 3, 1 / 2, 1.0)


def test_the_median_reaches_a_target() -> None:
    """A target is reached by the median ratio, not by the best round."""
    assert SECONDS.is_reached
    assert not replace(SECONDS, target=2.5).is_reached
    assert not replace(SECONDS, target=None).is_reached


def test_a_row_says_why_a_baseline_is_unavailable() -> None:
    """Without a baseline the row has the reason in place of the ratio, and Parley's own values."""
    row = table([replace(SECONDS, theirs=(), unavailable="not installed")]).splitlines()[-1]
    assert row == "| reply, s | other | not installed | 2 | 2.00 (1.00–4.00) |  |"
    assert "**2.00 (1.00–3.00)** | 2 ✓ |" in table([SECONDS])
