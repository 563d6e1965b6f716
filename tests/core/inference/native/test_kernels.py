"""int8 matmuls against exact integer arithmetic, at every level that this processor can run."""

import ctypes
import platform
from collections.abc import Callable, Iterator
from ctypes import POINTER, c_int, c_void_p
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from core.inference.hardware import cpu_flags
from core.inference.native import library
from core.inference.native.build import PORTABLE, Level, build, levels
from core.inference.native.library import Kernels
from core.inference.weights.quantise import MAX_ACTIVATION, MAX_SUM, activation_limit, panels, quantise, whole_panels

SOURCE = Path(__file__).with_name("multiply_once.c")
LEVELS = (*levels(cpu_flags(), platform.machine()), PORTABLE)

Multiply = Callable[[NDArray[np.int8], NDArray[np.int16]], NDArray[np.float32]]


@pytest.fixture(params=LEVELS, ids=lambda level: level.name)
def compiled(request: pytest.FixtureRequest, tmp_path: Path) -> ctypes.CDLL:
    level: Level = request.param
    compiled = build(level, tmp_path, SOURCE)
    if Kernels(compiled, level.name).enable_instructions():
        pytest.skip("the operating system does not permit AMX")
    compiled.multiply_once.argtypes = (c_void_p, POINTER(library.Linear), c_void_p, c_void_p, c_void_p, c_int)
    compiled.multiply_once.restype = None
    return compiled


@pytest.fixture(params=[1, 3])
def multiply(request: pytest.FixtureRequest, compiled: ctypes.CDLL) -> Iterator[Multiply]:
    """int8 [rows, columns] times int16 [tokens, columns] as floats [tokens, rows]; all scales are 1."""
    kernels = Kernels(compiled, "")
    pool = kernels.open_pool(request.param)
    yield partial(_multiply, compiled, pool)
    kernels.close_pool(pool)


def _multiply(
    compiled: ctypes.CDLL, pool: int, weight: NDArray[np.int8], activations: NDArray[np.int16]
) -> NDArray[np.float32]:
    tokens, rows = len(activations), len(weight)
    packed, scales = panels(weight), whole_panels(np.ones(rows))
    padded = np.pad(activations, ((0, 0), (0, -activations.shape[1] % 4)))
    ones, output = np.ones(tokens, np.float32), np.full((tokens, rows), np.nan, np.float32)
    matrix = library.Linear(
        weight=packed.ctypes.data, scale=scales.ctypes.data, rows=rows, columns=padded.shape[1], activation_limit=0
    )
    compiled.multiply_once(pool, matrix, padded.ctypes.data, ones.ctypes.data, output.ctypes.data, tokens)
    return output


def exact(weight: NDArray[np.int8], activations: NDArray[np.int16]) -> NDArray[np.float32]:
    return (activations.astype(np.int64) @ weight.astype(np.int64).T).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 80, 200, 2001])
@pytest.mark.parametrize("columns", [4, 7, 64, 130])
def test_products_are_exact(multiply: Multiply, rows: int, columns: int) -> None:
    """Every product is the exact integer, for all sizes of matrices and for no, one, few and many tokens."""
    random = np.random.default_rng(rows * columns)
    weight = random.integers(-127, 128, (rows, columns), np.int8)
    for tokens in (0, 1, 2, 3, 5, 8, 13, 33):
        activations = random.integers(-MAX_ACTIVATION, MAX_ACTIVATION + 1, (tokens, columns), np.int16)
        assert np.array_equal(multiply(weight, activations), exact(weight, activations))


def test_the_largest_sums_stay_exact(multiply: Multiply) -> None:
    """Activations at the limit of `activation_limit` do not overflow with the worst signs; one above it could."""
    weight = np.full((16, 4096), 127, np.int8)
    weight[1] = -127
    limit = activation_limit(weight)
    assert limit * 127 * 4096 <= MAX_SUM < (limit + 1) * 127 * 4096
    activations = np.full((9, 4096), limit, np.int16)
    assert np.array_equal(multiply(weight, activations), exact(weight, activations))


def test_quantising_is_exact_to_half_a_step() -> None:
    """The error is at most half a step of the row's scale, the largest weight becomes 127, and zeros stay zeros."""
    noise = np.random.default_rng(0).standard_normal((20, 33))
    weight = (noise * np.logspace(-3, 3, 20)[:, None]).astype(np.float32)
    weight[7] = 0
    rounded, scale = quantise(weight)
    error = np.abs(rounded * scale[:, None] - weight)
    assert (error <= scale[:, None] * 0.5001).all()
    assert np.abs(rounded).max(1).tolist() == [127] * 7 + [0] + [127] * 12
