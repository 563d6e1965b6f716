"""The kernels against exact integer arithmetic, for every kind of processor that this one can stand in for."""

import ctypes
import platform
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.inference.hardware import cpu_flags
from core.inference.native import library
from core.inference.native.build import PORTABLE, Level, build, levels
from core.inference.native.library import Kernels
from core.inference.weights.quantise import MAX_ACTIVATION, MAX_SUM, activation_limit, panels, quantise, whole_panels

LEVELS = (*levels(cpu_flags(), platform.machine()), PORTABLE)


@pytest.fixture(params=LEVELS, ids=lambda level: level.name)
def kernels(request: pytest.FixtureRequest, tmp_path: Path) -> Kernels:
    level: Level = request.param
    kernels = Kernels(build(level, tmp_path), level.name)
    if kernels.prepare_processor():
        pytest.skip("the system keeps the matrix units for itself")
    return kernels


@pytest.fixture(params=[1, 3])
def pool(request: pytest.FixtureRequest, kernels: Kernels) -> Iterator[int]:
    pool = kernels.open_pool(request.param)
    yield pool
    kernels.close_pool(pool)


def product(
    kernels: Kernels, pool: int, weight: NDArray[np.int8], activations: NDArray[np.int16]
) -> NDArray[np.float32]:
    """int8 [rows, columns] times int16 [tokens, columns], all scales 1, as floats [tokens, rows]."""
    tokens, rows = len(activations), len(weight)
    packed, scales = panels(weight), whole_panels(np.ones(rows))
    padded = np.pad(activations, ((0, 0), (0, -activations.shape[1] % 4)))
    ones, output = np.ones(tokens, np.float32), np.full((tokens, rows), np.nan, np.float32)
    matrix = library.Linear(
        weight=packed.ctypes.data, scale=scales.ctypes.data, bias=None, rows=rows, columns=padded.shape[1], limit=0
    )
    kernels.multiply_once(pool, ctypes.byref(matrix), padded.ctypes.data, ones.ctypes.data, output.ctypes.data, tokens)
    return output


def exact(weight: NDArray[np.int8], activations: NDArray[np.int16]) -> NDArray[np.float32]:
    return (activations.astype(np.int64) @ weight.astype(np.int64).T).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 80, 200, 2001])
@pytest.mark.parametrize("columns", [4, 7, 64, 130])
def test_products_are_exact(kernels: Kernels, pool: int, rows: int, columns: int) -> None:
    """Whatever the sizes, every product is the integer it should be; one token, a few, many and none."""
    random = np.random.default_rng(rows * columns)
    weight = random.integers(-127, 128, (rows, columns), np.int8)
    for tokens in (0, 1, 2, 3, 5, 8, 13, 33):
        activations = random.integers(-MAX_ACTIVATION, MAX_ACTIVATION + 1, (tokens, columns), np.int16)
        assert np.array_equal(product(kernels, pool, weight, activations), exact(weight, activations))


def test_the_largest_sums_stay_exact(kernels: Kernels, pool: int) -> None:
    """At the limit that `activation_limit` sets, the worst signs do not overflow: one more and they could."""
    weight = np.full((16, 4096), 127, np.int8)
    weight[1] = -127
    limit = activation_limit(weight)
    assert limit * 127 * 4096 <= MAX_SUM < (limit + 1) * 127 * 4096
    activations = np.full((9, 4096), limit, np.int16)
    assert np.array_equal(product(kernels, pool, weight, activations), exact(weight, activations))


def test_quantising_is_exact_to_half_a_step() -> None:
    """Each weight is within half a step of its row, the largest is kept, and a row of zeros stays one."""
    noise = np.random.default_rng(0).standard_normal((20, 33))
    weight = (noise * np.logspace(-3, 3, 20)[:, None]).astype(np.float32)
    weight[7] = 0
    rounded, scale = quantise(weight)
    error = np.abs(rounded * scale[:, None] - weight)
    assert (error <= scale[:, None] * 0.5001).all()
    assert np.abs(rounded).max(1).tolist() == [127] * 7 + [0] + [127] * 12
