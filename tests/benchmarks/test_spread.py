from benchmarks.spread import Spread, spread


def test_an_outlier_moves_an_end() -> None:
    """An outlier changes the minimum or the maximum, not the median."""
    assert spread([3.0, 100.0, 1.0]) == Spread(median=3.0, low=1.0, high=100.0)
