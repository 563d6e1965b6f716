from dataclasses import replace

from benchmarks.figures import Figure, table

SECONDS = Figure(work="reply", against="other", unit="s", ours=[1.0, 2.0, 4.0], theirs=[3.0, 4.0, 4.0], aim=2.0)
SPEED = replace(SECONDS, unit="tokens/s", more_is_better=True)


def test_above_one_parley_is_better() -> None:
    """Of seconds fewer are better, of tokens a second more; ratios are taken round by round."""
    assert SECONDS.ratio
    assert SPEED.ratio
    assert (SECONDS.ratio.low, SECONDS.ratio.middle, SECONDS.ratio.high) == (1.0, 2.0, 3.0)
    assert (SPEED.ratio.low, SPEED.ratio.middle, SPEED.ratio.high) == (1 / 3, 1 / 2, 1.0)


def test_an_aim_is_reached_by_the_median() -> None:
    """One good round is not enough."""
    assert SECONDS.reached
    assert not replace(SECONDS, aim=2.5).reached
    assert not replace(SECONDS, aim=None).reached


def test_a_row_says_what_is_absent() -> None:
    """Without the alternative there is no ratio, and the row says why; Parley's own figures stand all the same."""
    row = table([replace(SECONDS, theirs=(), absent="absent: make it")]).splitlines()[-1]
    assert row == "| reply, s | other | absent: make it | 2 | 2.00 (1.00–4.00) |  |"
    assert "**2.00 (1.00–3.00)** | 2 ✓ |" in table([SECONDS])
