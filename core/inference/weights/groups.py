"""The order in which the kernels read groups of integers: native/types.h describes it."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import GROUP, Array, Groups
from core.inference.weights.panels import PANEL
from core.inference.weights.precision import INT4

SCALE_BYTES: Final = 2 * PANEL
"""Bytes of a group's scales in fp16, for the rows of a panel."""
INT4_ZERO: Final = 8
"""The half byte of an int4 zero."""


def group_count(columns: int) -> int:
    return -(-columns // GROUP)


def panel_bytes(columns: int, dtype: np.dtype[Any]) -> int:
    """Bytes of a panel of int8 or int4."""
    return -(-columns // (2 * GROUP)) * 2 * (_number_bytes(dtype) + SCALE_BYTES)


def group_panels(groups: Groups, dtype: np.dtype[Any]) -> NDArray[np.uint8]:
    """Pack into panels: [rows / 16, panel_bytes], in each pairs of groups, the numbers of both and then their scales.

    An int8 group is [8][16][4]: eight times, for each row, the numbers of four columns. An int4 group is [4][16][4]: in
    the low halves the numbers of four columns, raised by 8, and in the high halves those of the next four.
    """
    rows, count = groups.scales.shape
    padding = ((0, -rows % PANEL), (0, -count % 2))
    numbers = np.pad(groups.numbers, (*padding, (0, 0)))
    scales = np.pad(groups.scales, padding)
    fours = numbers.reshape(-1, PANEL, numbers.shape[1], GROUP // 4, 4).transpose(0, 2, 3, 1, 4)
    if dtype == INT4:
        raised = (fours + INT4_ZERO).astype(np.uint8)
        fours = raised[:, :, ::2] | raised[:, :, 1::2] << 4
    by_panel = scales.reshape(-1, PANEL, scales.shape[1]).swapaxes(1, 2)
    pairs = [_bytes_of_pairs(part) for part in (fours, by_panel)]
    return np.concatenate(pairs, 2).reshape(len(fours), -1)


def _bytes_of_pairs(groups: Array) -> NDArray[np.uint8]:
    """[panels, pairs, bytes]"""
    return np.ascontiguousarray(groups).view(np.uint8).reshape(len(groups), groups.shape[1] // 2, -1)


def _number_bytes(dtype: np.dtype[Any]) -> int:
    return PANEL * GROUP // (2 if dtype == INT4 else 1)
