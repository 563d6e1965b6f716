"""Matmuls of integer weights against exact arithmetic, at every level that this processor can run."""

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
from core.inference.networks.decoder import DTYPE_CODES
from core.inference.weights.groups import GROUP, group_panels
from core.inference.weights.precision import INT4, INT8
from core.inference.weights.quantise import MAX_ACTIVATION, MAX_SUM, activation_limit, panels, quantise, whole_panels

SOURCE = Path(__file__).with_name("multiply_once.c")
LEVELS = (*levels(cpu_flags(), platform.machine()), PORTABLE)

Multiply = Callable[[NDArray[np.int8], NDArray[np.int16]], NDArray[np.float32]]
MultiplyGroups = Callable[[NDArray[np.int8], NDArray[np.float16], NDArray[np.int16]], NDArray[np.float32]]


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
def pool(request: pytest.FixtureRequest, compiled: ctypes.CDLL) -> Iterator[int]:
    kernels = Kernels(compiled, "")
    pool = kernels.open_pool(request.param)
    yield pool
    kernels.close_pool(pool)


@pytest.fixture
def multiply(compiled: ctypes.CDLL, pool: int) -> Multiply:
    """int8 [rows, columns] times int16 [tokens, columns] as floats [tokens, rows]; all scales are 1."""
    return partial(_multiply, compiled, pool)


@pytest.fixture
def multiply_groups(compiled: ctypes.CDLL, pool: int) -> MultiplyGroups:
    """int4 [rows, groups, 32] with scales [rows, groups] times int16 [tokens, columns] as floats [tokens, rows]."""
    return partial(_multiply_groups, compiled, pool)


def _multiply(
    compiled: ctypes.CDLL, pool: int, weight: NDArray[np.int8], activations: NDArray[np.int16]
) -> NDArray[np.float32]:
    packed, scales = panels(weight), whole_panels(np.ones(len(weight)))
    padded = np.pad(activations, ((0, 0), (0, -activations.shape[1] % 4)))
    matrix = library.Linear(
        weight=packed.ctypes.data,
        scale=scales.ctypes.data,
        rows=len(weight),
        columns=padded.shape[1],
        dtype=DTYPE_CODES[INT8],
    )
    return _multiply_once(compiled, pool, matrix, padded)


def _multiply_groups(
    compiled: ctypes.CDLL,
    pool: int,
    numbers: NDArray[np.int8],
    scales: NDArray[np.float16],
    activations: NDArray[np.int16],
) -> NDArray[np.float32]:
    packed = group_panels(numbers, scales)
    matrix = library.Linear(
        weight=packed.ctypes.data, rows=len(numbers), columns=activations.shape[1], dtype=DTYPE_CODES[INT4]
    )
    return _multiply_once(compiled, pool, matrix, activations)


def _multiply_once(
    compiled: ctypes.CDLL, pool: int, matrix: library.Linear, activations: NDArray[np.int16]
) -> NDArray[np.float32]:
    tokens = len(activations)
    ones, output = np.ones(tokens, np.float32), np.full((tokens, matrix.rows), np.nan, np.float32)
    compiled.multiply_once(pool, matrix, activations.ctypes.data, ones.ctypes.data, output.ctypes.data, tokens)
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


@pytest.mark.parametrize("rows", [1, 16, 17, 200])
@pytest.mark.parametrize("groups", [1, 2, 5])
def test_sums_of_groups_are_exact(multiply_groups: MultiplyGroups, rows: int, groups: int) -> None:
    """A group's sum is the exact integer: with scales that are powers of two, so is the whole product, for all numbers
    of tokens and the largest activations.
    """
    random = np.random.default_rng(rows * groups)
    numbers = random.integers(-8, 8, (rows, groups, GROUP), np.int8)
    numbers[0] = -8
    scales = np.exp2(-random.integers(0, 3, (rows, groups))).astype(np.float16)
    weight = (numbers * 4 * scales[..., None]).reshape(rows, -1).astype(np.int64)
    for tokens in (0, 1, 2, 3, 4, 7, 8, 9, 13, 33):
        activations = random.integers(-MAX_ACTIVATION, MAX_ACTIVATION + 1, (tokens, groups * GROUP), np.int16)
        activations[tokens // 2 :: 3] = MAX_ACTIVATION
        activations[tokens // 2 + 1 :: 3] = -MAX_ACTIVATION
        exact = activations.astype(np.int64) @ weight.T / 4
        found = multiply_groups(numbers, scales, activations)
        np.testing.assert_allclose(found, exact, rtol=2e-7 * groups, atol=0)
        if groups == 1:
            assert np.array_equal(found, exact)


def test_a_token_has_the_same_product_in_any_batch(multiply_groups: MultiplyGroups) -> None:
    """Groups are added in their order whatever the tile: a token's product is the same to the last bit."""
    random = np.random.default_rng(0)
    numbers, scales = random.integers(-8, 8, (40, 9, GROUP), np.int8), random.random((40, 9)).astype(np.float16)
    activations = random.integers(-MAX_ACTIVATION, MAX_ACTIVATION + 1, (21, 9 * GROUP), np.int16)
    together = multiply_groups(numbers, scales, activations)
    alone = [multiply_groups(numbers, scales, activations[token : token + 1]) for token in range(21)]
    assert np.array_equal(together, np.concatenate(alone))


def test_quantising_is_exact_to_half_a_step() -> None:
    """The error is at most half a step of the row's scale, the largest weight becomes 127, and zeros stay zeros."""
    noise = np.random.default_rng(0).standard_normal((20, 33))
    weight = (noise * np.logspace(-3, 3, 20)[:, None]).astype(np.float32)
    weight[7] = 0
    rounded, scale = quantise(weight)
    error = np.abs(rounded * scale[:, None] - weight)
    assert (error <= scale[:, None] * 0.5001).all()
    assert np.abs(rounded).max(1).tolist() == [127] * 7 + [0] + [127] * 12
