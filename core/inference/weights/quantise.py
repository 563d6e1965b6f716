"""Quantisation of floats to the nearest integers, in groups."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import GROUP, Floats, Groups

MAX_INT8: Final = 127
LOWEST, HIGHEST = -8, 7
"""The range of int4."""


def quantise_int8(weight: Floats) -> Groups:
    """Quantise rows, [rows, columns], to the nearest int8. Columns are padded with zeros to whole groups."""
    groups = _in_groups(weight)
    scales = (np.abs(groups).max(-1) / np.float32(MAX_INT8)).astype(np.float16)
    return Groups(numbers=_rounded(groups, scales, -MAX_INT8, MAX_INT8).astype(np.int8), scales=scales)


def quantise_int4(weight: Floats) -> Groups:
    """Quantise rows, [rows, columns], to the nearest int4. A group's largest weight is the lowest number."""
    groups = _in_groups(weight)
    at = np.abs(groups).argmax(-1)[..., None]
    scales = (np.take_along_axis(groups, at, -1)[..., 0] / np.float32(LOWEST)).astype(np.float16)
    return Groups(numbers=_rounded(groups, scales, LOWEST, HIGHEST).astype(np.int8), scales=scales)


def fits_int4(groups: Groups) -> bool:
    """Whether the numbers are within int4's range."""
    return bool(groups.numbers.min() >= LOWEST and groups.numbers.max() <= HIGHEST)


def _in_groups(weight: Floats) -> Floats:
    """Columns in groups, padded with zeros: [rows, groups, 32]."""
    return np.pad(weight, ((0, 0), (0, -weight.shape[1] % GROUP))).reshape(len(weight), -1, GROUP)


def _rounded(groups: Floats, scales: NDArray[np.float16], lowest: int, highest: int) -> Floats:
    """The nearest numbers, as float32; zeros where the scale, [...], of the columns, [..., columns], is zero."""
    inverse = np.divide(1, scales, dtype=np.float32, out=np.zeros(scales.shape, np.float32), where=scales != 0)
    steps = groups * inverse[..., None]
    return np.clip(np.rint(steps, out=steps), lowest, highest, out=steps)
