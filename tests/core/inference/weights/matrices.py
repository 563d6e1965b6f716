"""Matrices for tests of quantisation, and what integers stand for."""

import numpy as np

from core.inference.arrays import Floats, Groups


def noise(rows: int, columns: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, columns), np.float32)


def floats(groups: Groups) -> Floats:
    """The weights, [rows, columns]."""
    weights = groups.numbers.astype(np.float32) * groups.scales[..., None].astype(np.float32)
    if groups.shifts is not None:
        weights += groups.shifts[..., None]
    return weights.reshape(len(weights), -1)
