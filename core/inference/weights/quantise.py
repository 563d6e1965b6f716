"""int8 quantisation with one scale per row, and packing into panels, as native/decoder.c reads them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import Array, Floats

PANEL = 16
"""Rows per panel."""
MAX_WEIGHT = 127
MAX_ACTIVATION = 127 * 256 + 127
"""Largest activation that splits into two signed bytes, for CPUs that multiply bytes."""
MAX_SUM = 2**31 - 1


def quantise(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Quantise a matrix [rows, columns] to int8 with scales, float32 [rows]: weight = int8 * scale, rounded to nearest.

    With one scale per output row, a dot product stays in integers until its end. The rounding error is at most half a
    step, 0.4 % of the row's largest weight.
    """
    scale = np.abs(weight).max(1) / np.float32(MAX_WEIGHT)
    steps = weight / np.maximum(scale, np.finfo(np.float32).tiny)[:, None]
    return np.rint(steps, out=steps).astype(np.int8), scale


def activation_limit(quantised: NDArray[np.int8]) -> int:
    """The largest activation with which no dot product of a row can overflow int32, whatever the signs."""
    largest_sum = int(np.abs(quantised).sum(1, dtype=np.int64).max())
    return min(MAX_ACTIVATION, MAX_SUM // max(largest_sum, 1))


def panels(weight: Array) -> Array:
    """Pack a matrix [rows, columns] into panels of 16 rows, in the order in which a kernel reads it, padded with zeros.

    A panel is stored column by column: [rows / 16, columns, 16, 1]. int8 panels group four columns, which one SIMD
    instruction multiplies: [rows / 16, columns / 4, 16, 4].
    """
    rows, columns = weight.shape
    count, groups, _, group = panel_shape(rows, columns, weight.dtype)
    weight = np.pad(weight, ((0, count * PANEL - rows), (0, groups * group - columns)))
    return np.ascontiguousarray(weight.reshape(count, PANEL, groups, group).swapaxes(1, 2))


def panel_shape(rows: int, columns: int, dtype: np.dtype[Any]) -> tuple[int, int, int, int]:
    """Shape of a packed matrix: [panels, column groups, rows of a panel, columns of a group]."""
    group = 4 if dtype == np.int8 else 1
    return -(-rows // PANEL), -(-columns // group), PANEL, group


def whole_panels(vector: Array) -> Floats:
    """One value per row, as float32, padded with zeros to whole panels."""
    return np.pad(vector.astype(np.float32), (0, -len(vector) % PANEL))
