"""int4 quantisation with one scale for each group of 32 columns of a row, and packing as native/int4.h reads it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import Floats
from core.inference.weights.quantise import PANEL

GROUP: Final = 32
"""Columns that share a scale."""
LOWEST, HIGHEST = -8, 7
GROUP_BYTES: Final = PANEL * GROUP // 2 + PANEL * 2
"""Bytes of a group of a panel: its numbers, and its scales in fp16."""
SHRUNK: Final = tuple(np.float32(factor) for factor in np.linspace(0.7, 1.1, 21))
"""Scales that are tried, as parts of the one with which a group's largest weight is exact."""

Numbers = NDArray[np.int8]
Scales = NDArray[np.float16]


def quantise_groups(weight: Floats) -> tuple[Numbers, Scales]:
    """Quantise a matrix [rows, columns] to numbers from -8 to 7, [rows, groups, 32], with scales [rows, groups].

    weight = number * scale, as in llama.cpp's Q4_0. Of the scales that are tried, each group takes the one with the
    least squared error; the sign of the scale gives the longer side of the numbers to the group's largest weight.
    """
    groups = weight.reshape(len(weight), -1, GROUP)
    at = np.abs(groups).argmax(-1)[..., None]
    exact = np.take_along_axis(groups, at, -1)[..., 0] / np.float32(LOWEST)
    best_scale, best_error = np.zeros_like(exact, np.float16), np.full_like(exact, np.inf)
    for factor in SHRUNK:
        scale = (exact * factor).astype(np.float16)
        error = np.square(_rounded(groups, scale) * scale[..., None].astype(np.float32) - groups).sum(-1)
        is_better = error < best_error
        best_scale, best_error = np.where(is_better, scale, best_scale), np.where(is_better, error, best_error)
    return _rounded(groups, best_scale).astype(np.int8), best_scale


def _rounded(groups: Floats, scale: Scales) -> Floats:
    """The nearest numbers, as float32 [rows, groups, 32]; zeros where the scale is zero."""
    inverse = np.divide(1, scale, dtype=np.float32, out=np.zeros(scale.shape, np.float32), where=scale != 0)
    steps = groups * inverse[..., None]
    return np.clip(np.rint(steps, out=steps), LOWEST, HIGHEST, out=steps)


def group_panels(numbers: Numbers, scales: Scales) -> NDArray[np.uint8]:
    """Pack groups into panels of 16 rows: [rows / 16, groups, GROUP_BYTES], padded with zeros.

    Each group is [4][16][4] bytes: four times, for each row, the numbers of four columns, with those of the next four
    in the high halves; then the 16 scales.
    """
    rows, groups, _ = numbers.shape
    padding = -rows % PANEL
    numbers = np.pad(numbers, ((0, padding), (0, 0), (0, 0)))
    scales = np.pad(scales, ((0, padding), (0, 0)))
    raised = (numbers - LOWEST).astype(np.uint8).reshape(-1, PANEL, groups, GROUP // 8, 2, 4)
    halves = raised[..., 0, :] | raised[..., 1, :] << 4
    packed = np.empty((len(numbers) // PANEL, groups, GROUP_BYTES), np.uint8)
    packed[..., : -2 * PANEL] = halves.transpose(0, 2, 3, 1, 4).reshape(len(packed), groups, -1)
    by_panel = np.ascontiguousarray(scales.reshape(-1, PANEL, groups).swapaxes(1, 2))
    packed[..., -2 * PANEL :] = by_panel.view(np.uint8)
    return packed
