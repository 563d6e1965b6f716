"""The order in which native/decoder.c reads weights: panels of 16 rows, padded with zeros."""

from typing import Final

import numpy as np

from core.inference.arrays import Array, Floats

PANEL: Final = 16
"""Rows per panel."""


def panel_count(rows: int) -> int:
    return -(-rows // PANEL)


def float_panels(weight: Array) -> Array:
    """Pack a matrix of floats [rows, columns] column by column: [rows / 16, columns, 16]."""
    weight = np.pad(weight, ((0, -len(weight) % PANEL), (0, 0)))
    return np.ascontiguousarray(weight.reshape(-1, PANEL, weight.shape[1]).swapaxes(1, 2))


def whole_panels(vector: Array) -> Floats:
    """One value per row, as float32, padded with zeros to whole panels."""
    return np.pad(vector.astype(np.float32), (0, -len(vector) % PANEL))
