"""Pictures have round values on their axis."""

import pytest

from bots.admin.pictures import ticks


@pytest.mark.parametrize(
    ("top", "is_whole", "expected"),
    [
        (0, True, [0, 1]),
        (1, True, [0, 1]),
        (3, True, [0, 1, 2, 3]),
        (7, True, [0, 2, 4, 6, 8]),
        (10, True, [0, 3, 6, 9, 12]),
        (1_000, True, [0, 250, 500, 750, 1_000]),
        (0.03, False, [0, 0.01, 0.02, 0.03]),
        (1, False, [0, 0.25, 0.5, 0.75, 1]),
    ],
)
def test_lines_across_a_chart_are_at_round_values(top: float, expected: list[float], *, is_whole: bool) -> None:
    """There are four above 0 at most, the last one is not below the highest value, and counts are whole."""
    assert ticks(top, is_whole=is_whole) == pytest.approx(expected)
