"""The order in which the kernels read groups."""

from typing import Any

import numpy as np

from core.inference.arrays import GROUP, Groups
from core.inference.weights.groups import group_panels, panel_bytes
from core.inference.weights.panels import PANEL
from core.inference.weights.precision import INT4, INT8


def groups(lowest: int, highest: int) -> Groups:
    random = np.random.default_rng(2)
    numbers = random.integers(lowest, highest + 1, (17, 3, GROUP), np.int8)
    return Groups(numbers=numbers, scales=random.random((17, 3)).astype(np.float16))


def begin(group: int, dtype: np.dtype[Any]) -> int:
    """Where a group's numbers are in its panel."""
    size = GROUP * PANEL // (2 if dtype == INT4 else 1)
    return group // 2 * (2 * size + 2 * 2 * PANEL) + group % 2 * size


def test_an_int8_panel_is_read_in_its_order() -> None:
    """Byte by byte as native/types.h describes it."""
    given = groups(-128, 127)
    packed = group_panels(given, INT8).view(np.int8)
    assert packed.shape == (2, panel_bytes(3 * GROUP, INT8))
    for row, group, column in np.ndindex(17, 3, GROUP):
        four, within = divmod(column, 4)
        at = begin(group, INT8) + four * 4 * PANEL + row % PANEL * 4 + within
        assert packed[row // PANEL, at] == given.numbers[row, group, column]


def test_an_int4_panel_is_read_in_its_order() -> None:
    """Half byte by half byte as native/types.h describes it."""
    given = groups(-8, 7)
    packed = group_panels(given, INT4)
    assert packed.shape == (2, panel_bytes(3 * GROUP, INT4))
    for row, group, column in np.ndindex(17, 3, GROUP):
        eight, within = divmod(column, 8)
        half, four = divmod(within, 4)
        at = begin(group, INT4) + eight * 4 * PANEL + row % PANEL * 4 + four
        assert (int(packed[row // PANEL, at]) >> 4 * half & 15) - 8 == given.numbers[row, group, column]


def test_scales_follow_the_numbers_of_their_pair() -> None:
    """Group by group, for the rows of the panel; rows and the fourth group, which are missing, have the scale zero."""
    for dtype, given in ((INT8, groups(-128, 127)), (INT4, groups(-8, 7))):
        pairs = group_panels(given, dtype).reshape(2, 2, -1)
        scales = pairs[..., -2 * 2 * PANEL :].copy().view(np.float16).reshape(2, 4, PANEL)
        assert np.array_equal(scales[0, :3], given.scales[:PANEL].T)
        assert np.array_equal(scales[1, :3, 0], given.scales[PANEL])
        assert not scales[1, :, 1:].any()
        assert not scales[:, 3].any()
