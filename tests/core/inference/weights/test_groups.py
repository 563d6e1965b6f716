"""int4 quantisation and the order in which the kernels read it."""

import numpy as np
import pytest

from core.inference.weights.groups import GROUP, GROUP_BYTES, HIGHEST, LOWEST, group_panels, quantise_groups
from core.inference.weights.quantise import PANEL


def noise(rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, columns)).astype(np.float32)


def error(weight: np.ndarray, numbers: np.ndarray, scales: np.ndarray) -> float:
    """The mean of the squared errors."""
    return float(np.square((numbers * scales.astype(np.float32)[..., None]).reshape(weight.shape) - weight).mean())


def test_int4_weights_stay_as_they_are() -> None:
    """A matrix of numbers times scales, each group with its largest number, is quantised without error."""
    random = np.random.default_rng(1)
    numbers = random.integers(LOWEST, HIGHEST + 1, (20, 3, GROUP), np.int8)
    numbers[..., 5] = LOWEST
    scales = (random.random((20, 3)) + 0.1).astype(np.float16) * random.choice([-1, 1], (20, 3)).astype(np.float16)
    weight = (numbers * scales[..., None].astype(np.float32)).reshape(20, -1)
    found_numbers, found_scales = quantise_groups(weight)
    assert np.array_equal(found_numbers, numbers)
    assert np.array_equal(found_scales, scales)


def test_the_scale_with_the_least_error_is_taken() -> None:
    """Noise is closer to its numbers than if the largest weight of each group were exact."""
    weight = noise(64, 96)
    groups = weight.reshape(64, 3, GROUP)
    largest = np.take_along_axis(groups, np.abs(groups).argmax(-1)[..., None], -1)
    scales = largest / LOWEST
    exact_largest = np.clip(np.rint(groups / scales), LOWEST, HIGHEST)
    assert error(weight, *quantise_groups(weight)) < 0.95 * error(weight, exact_largest, scales[..., 0])


@pytest.mark.parametrize("factor", [1e-9, 1e-4, 1e3])
def test_weights_of_any_size_are_close(factor: float) -> None:
    """The error is a small part of the weights, or of the smallest scale that fp16 has."""
    weight = noise(16, 64) * np.float32(factor)
    assert error(weight, *quantise_groups(weight)) < 0.02 * factor**2 + 1e-14


def test_zeros_stay_zeros() -> None:
    """A group of zeros has the scale zero, and no group beside it changes."""
    weight = noise(4, 64)
    weight[2, :32] = 0
    numbers, scales = quantise_groups(weight)
    assert scales[2, 0] == 0
    assert not numbers[2, 0].any()
    beside = quantise_groups(weight[:, 32:])
    assert np.array_equal(numbers[:, 1:], beside[0])
    assert np.array_equal(scales[:, 1:], beside[1])


def test_a_panel_is_read_in_its_order() -> None:
    """Byte by byte as native/int4.h describes it; rows that are missing have no weight."""
    random = np.random.default_rng(2)
    numbers, scales = random.integers(LOWEST, HIGHEST + 1, (17, 2, GROUP), np.int8), noise(17, 2).astype(np.float16)
    packed = group_panels(numbers, scales)
    assert packed.shape == (2, 2, GROUP_BYTES)
    for row, group, column in np.ndindex(17, 2, GROUP):
        eight, within = divmod(column, 8)
        half, four = divmod(within, 4)
        byte = int(packed[row // PANEL, group, eight * 4 * PANEL + row % PANEL * 4 + four])
        assert (byte >> 4 * half & 15) + LOWEST == numbers[row, group, column]
    kept = packed[..., -2 * PANEL :].copy().view(np.float16)
    assert np.array_equal(kept[0], scales[:16].T)
    assert np.array_equal(kept[1, :, 0], scales[16])
    assert not kept[1, :, 1:].any()
