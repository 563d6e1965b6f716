"""Quantisation of floats to int8 groups, and the scales of int4 groups."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import GROUP, Floats, Groups

MAX_INT8: Final = 127
LOWEST, HIGHEST = -8, 7
"""The range of int4."""
SHRUNK: Final = tuple(np.float32(factor) for factor in np.linspace(0.7, 1.1, 21))
"""int4 scales that are tried, as parts of the one with which a group's largest weight is exact."""


def quantise_int8(weight: Floats) -> Groups:
    """Quantise rows, [rows, columns], to the nearest int8. Columns are padded with zeros to whole groups."""
    groups = _in_groups(weight)
    scales = (np.abs(groups).max(-1) / np.float32(MAX_INT8)).astype(np.float16)
    return Groups(numbers=_rounded(groups, scales, -MAX_INT8, MAX_INT8).astype(np.int8), scales=scales)


def quantise_int4(weight: Floats) -> Groups:
    """Quantise rows, [rows, columns], to the nearest int4, with scales that keep each group's largest weight."""
    groups = _in_groups(weight)
    scales = _exact_scales(groups).astype(np.float16)
    return Groups(numbers=_rounded(groups, scales, LOWEST, HIGHEST).astype(np.int8), scales=scales)


def fits_int4(groups: Groups) -> bool:
    """Whether the numbers are within int4's range."""
    return bool(groups.numbers.min() >= LOWEST and groups.numbers.max() <= HIGHEST)


def int4_scales(groups: Floats, importance: Floats) -> NDArray[np.float16]:
    """Scales [rows] for a group of columns, weights [rows, columns].

    Of the scales that are tried, each row takes the one with the least sum of squared errors times the `importance` of
    their columns, [columns]. Its sign gives the longer side of the numbers to the row's largest weight.
    """
    exact = _exact_scales(groups)
    best_scale, best_error = np.zeros_like(exact, np.float16), np.full_like(exact, np.inf)
    for factor in SHRUNK:
        scale = (exact * factor).astype(np.float16)
        rounded = _rounded(groups, scale, LOWEST, HIGHEST)
        error = np.square(rounded * scale[..., None].astype(np.float32) - groups) @ importance
        is_better = error < best_error
        best_scale, best_error = np.where(is_better, scale, best_scale), np.where(is_better, error, best_error)
    return best_scale


def _in_groups(weight: Floats) -> Floats:
    """Columns in groups, padded with zeros: [rows, groups, 32]."""
    return np.pad(weight, ((0, 0), (0, -weight.shape[1] % GROUP))).reshape(len(weight), -1, GROUP)


def _exact_scales(groups: Floats) -> Floats:
    """The int4 scales that make the largest weight of the columns, [..., columns], the lowest number."""
    at = np.abs(groups).argmax(-1)[..., None]
    return np.take_along_axis(groups, at, -1)[..., 0] / np.float32(LOWEST)


def _rounded(groups: Floats, scales: NDArray[np.float16], lowest: int, highest: int) -> Floats:
    """The nearest numbers, as float32; zeros where the scale, [...], of the columns, [..., columns], is zero."""
    inverse = np.divide(1, scales, dtype=np.float32, out=np.zeros(scales.shape, np.float32), where=scales != 0)
    steps = groups * inverse[..., None]
    return np.clip(np.rint(steps, out=steps), lowest, highest, out=steps)
