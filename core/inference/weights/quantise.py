"""Weights as the kernels in native/decoder.c read them: int8 with a scale for each row, in panels of sixteen rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import Array, Floats

PANEL = 16
MAX_WEIGHT = 127
MAX_ACTIVATION = 127 * 256 + 127
"""What two signed bytes can hold, for processors that multiply bytes."""
MAX_SUM = 2**31 - 1


def quantise(weight: Floats) -> tuple[NDArray[np.int8], Floats]:
    """A matrix [rows, columns] as int8 and its scales, float32 [rows]: weight = int8 * scale, rounded to nearest.

    One scale for each output row keeps a row's products in integers; 0.5 of a step is at most 0.4 % of the row's
    largest weight.
    """
    scale = np.abs(weight).max(1) / np.float32(MAX_WEIGHT)
    steps = weight / np.maximum(scale, np.finfo(np.float32).tiny)[:, None]
    return np.rint(steps, out=steps).astype(np.int8), scale


def activation_limit(quantised: NDArray[np.int8]) -> int:
    """The largest activation with which no product of a row can leave int32, however the signs fall."""
    heaviest = int(np.abs(quantised).sum(1, dtype=np.int64).max())
    return min(MAX_ACTIVATION, MAX_SUM // max(heaviest, 1))


def panels(weight: Array) -> Array:
    """A matrix [rows, columns] in the order in which a kernel reads it, padded with zeros to whole panels.

    Sixteen rows stand together, column by column: [rows / 16, columns, 16, 1]. int8 goes by four columns,
    which instructions multiply at once: [rows / 16, columns / 4, 16, 4].
    """
    rows, columns = weight.shape
    count, groups, _, group = panel_shape(rows, columns, weight.dtype)
    weight = np.pad(weight, ((0, count * PANEL - rows), (0, groups * group - columns)))
    return np.ascontiguousarray(weight.reshape(count, PANEL, groups, group).swapaxes(1, 2))


def panel_shape(rows: int, columns: int, dtype: np.dtype[Any]) -> tuple[int, int, int, int]:
    """The shape of a matrix in panels."""
    group = 4 if dtype == np.int8 else 1
    return -(-rows // PANEL), -(-columns // group), PANEL, group


def whole_panels(vector: Array) -> Floats:
    """A value for each row, float32, padded to whole panels."""
    return np.pad(vector.astype(np.float32), (0, -len(vector) % PANEL))
