"""Frequencies and rotations of the rotary position embedding (arXiv:2104.09864)."""

import numpy as np

from core.inference.arrays import Floats
from core.inference.weights.shape import RopeScaling, Shape


def rope_frequencies(shape: Shape) -> Floats:
    """Radians per position, float32 [head_dim / 2], descending."""
    exponents = np.arange(0, shape.head_dim, 2, dtype=np.float32) / np.float32(shape.head_dim)
    frequencies = np.float32(1) / np.float32(shape.theta) ** exponents
    return _scaled(frequencies, shape.scaling) if shape.scaling else frequencies


def rotations(frequencies: Floats, positions: int) -> Floats:
    """Cosines and sines of the angles at the first positions, float32 [head_dim / 2, 2, positions]."""
    angles = np.outer(frequencies, np.arange(positions, dtype=np.float32))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _scaled(frequencies: Floats, scaling: RopeScaling) -> Floats:
    """Llama 3.1's scaling: frequencies with few turns in the original context are divided by `factor`, those with many
    are kept, and the ones between are interpolated by their number of turns.
    """
    turns = scaling.original_context * frequencies / np.float32(2 * np.pi)
    low, high = scaling.low_frequency_factor, scaling.high_frequency_factor
    kept = np.clip((turns - low) / (high - low), 0, 1)
    scaled: Floats = (kept * frequencies + (1 - kept) * frequencies / scaling.factor).astype(np.float32)
    return scaled
