"""Quantisation to groups of int8 and int4."""

from typing import Any

import numpy as np
import pytest

from core.inference.arrays import GROUP, Floats, Groups
from core.inference.weights.precision import INT4, INT8
from core.inference.weights.quantise import HIGHEST, LOWEST, quantise


def noise(rows: int, columns: int) -> Floats:
    return np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)


def floats(groups: Groups) -> Floats:
    scaled = groups.numbers.astype(np.float32) * groups.scales[..., None].astype(np.float32)
    return scaled.reshape(len(scaled), -1)


def error(weight: Floats, groups: Groups) -> float:
    """The mean of the squared errors."""
    return float(np.square(floats(groups) - weight).mean())


def test_int8_is_exact_to_half_a_step() -> None:
    """The error is at most half a step of the group's scale and what fp16 rounds of that, and the largest is 127."""
    weight = noise(20, 3 * GROUP) * np.logspace(-3, 3, 20, dtype=np.float32)[:, None]
    found = quantise(weight, INT8)
    step = found.scales.astype(np.float32).repeat(GROUP, 1)
    assert (np.abs(floats(found) - weight) <= step * (0.5 + 127 * 2**-11)).all()
    assert (np.abs(found.numbers).max(-1) == 127).all()


@pytest.mark.parametrize(("dtype", "lowest", "highest"), [(INT8, -127, 127), (INT4, LOWEST, HIGHEST)])
def test_integers_stay_as_they_are(dtype: np.dtype[Any], lowest: int, highest: int) -> None:
    """A matrix of numbers times scales, each group with its largest number, is quantised without error."""
    random = np.random.default_rng(1)
    numbers = random.integers(lowest, highest + 1, (20, 3, GROUP), np.int8)
    numbers[..., 5] = lowest
    scales = (random.random((20, 3)) + 0.1).astype(np.float16)
    if dtype == INT4:
        scales *= random.choice([-1, 1], (20, 3)).astype(np.float16)
    given = Groups(numbers=numbers, scales=scales)
    found = quantise(floats(given), dtype)
    assert np.array_equal(found.numbers, numbers)
    assert np.array_equal(found.scales, scales)


def test_the_int4_scale_with_the_least_error_is_taken() -> None:
    """Noise is closer to its numbers than if the largest weight of each group were exact."""
    weight = noise(64, 96)
    groups = weight.reshape(64, 3, GROUP)
    scales = np.take_along_axis(groups, np.abs(groups).argmax(-1)[..., None], -1) / LOWEST
    numbers = np.clip(np.rint(groups / scales), LOWEST, HIGHEST).astype(np.int8)
    exact_largest = Groups(numbers=numbers, scales=scales[..., 0].astype(np.float16))
    assert error(weight, quantise(weight, INT4)) < 0.95 * error(weight, exact_largest)


@pytest.mark.parametrize(("dtype", "part"), [(INT8, 1e-4), (INT4, 0.02)])
@pytest.mark.parametrize("factor", [1e-9, 1e-4, 1e3])
def test_weights_of_any_size_are_close(dtype: np.dtype[Any], part: float, factor: float) -> None:
    """The error is a small part of the weights, or of the smallest scale that fp16 has."""
    weight = noise(16, 64) * np.float32(factor)
    assert error(weight, quantise(weight, dtype)) < part * factor**2 + 1e-14


@pytest.mark.parametrize("dtype", [INT8, INT4])
def test_zeros_stay_zeros(dtype: np.dtype[Any]) -> None:
    """A group of zeros has the scale zero, and no group beside it changes; columns are padded with zeros."""
    weight = noise(4, 80)
    weight[2, :32] = 0
    found, beside = quantise(weight, dtype), quantise(weight[:, 32:], dtype)
    assert found.scales[2, 0] == 0
    assert not found.numbers[2, 0].any()
    assert not found.numbers[:, 2, 16:].any()
    assert np.array_equal(found.numbers[:, 1:], beside.numbers)
    assert np.array_equal(found.scales[:, 1:], beside.scales)
