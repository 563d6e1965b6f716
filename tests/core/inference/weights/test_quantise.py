"""Quantisation to the nearest integers, in groups."""

import numpy as np
import pytest

from core.inference.arrays import GROUP, Groups
from core.inference.weights.quantise import HIGHEST, LOWEST, quantise_int4, quantise_int8
from tests.core.inference.weights.matrices import floats, noise


def test_int8_is_exact_to_half_a_step() -> None:
    """The error is at most half a step of the group's scale and what fp16 rounds of that, and the largest is 127."""
    weight = noise(20, 3 * GROUP) * np.logspace(-3, 3, 20, dtype=np.float32)[:, None]
    found = quantise_int8(weight)
    step = found.scales.astype(np.float32).repeat(GROUP, 1)
    assert (np.abs(floats(found) - weight) <= step * (0.5 + 127 * 2**-11)).all()
    assert (np.abs(found.numbers).max(-1) == 127).all()


def test_int8_stays_as_it_is() -> None:
    """A matrix of numbers times scales, each group with its largest number, is quantised without error."""
    random = np.random.default_rng(1)
    numbers = random.integers(-127, 128, (20, 3, GROUP), np.int8)
    numbers[..., 5] = -127
    scales = (random.random((20, 3)) + 0.1).astype(np.float16)
    found = quantise_int8(floats(Groups(numbers=numbers, scales=scales)))
    assert np.array_equal(found.numbers, numbers)
    assert np.array_equal(found.scales, scales)


@pytest.mark.parametrize("factor", [1e-9, 1e-4, 1e3])
def test_weights_of_any_size_are_close(factor: float) -> None:
    """The error is a small part of the weights, or of the smallest scale that fp16 has."""
    weight = noise(16, 64) * np.float32(factor)
    assert np.square(floats(quantise_int8(weight)) - weight).mean() < 1e-4 * factor**2 + 1e-14


def test_zeros_stay_zeros() -> None:
    """A group of zeros has the scale zero, and no group beside it changes; columns are padded with zeros."""
    weight = noise(4, 80)
    weight[2, :32] = 0
    found, beside = quantise_int8(weight), quantise_int8(weight[:, 32:])
    assert found.scales[2, 0] == 0
    assert not found.numbers[2, 0].any()
    assert not found.numbers[:, 2, 16:].any()
    assert np.array_equal(found.numbers[:, 1:], beside.numbers)
    assert np.array_equal(found.scales[:, 1:], beside.scales)


def test_int4_keeps_the_largest_weight() -> None:
    """It is the number with the longer side, and every weight is within a step of its own."""
    weight = noise(20, 3 * GROUP)
    found = quantise_int4(weight)
    assert (found.numbers.min(-1) == LOWEST).all()
    assert found.numbers.max() <= HIGHEST
    step = np.abs(found.scales.astype(np.float32)).repeat(GROUP, 1)
    assert (np.abs(floats(found) - weight) <= 1.01 * step).all()
