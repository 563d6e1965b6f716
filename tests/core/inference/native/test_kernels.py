"""Matmuls of integer weights against exact arithmetic, at every level that this processor can run."""

import ctypes
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.inference.arrays import GROUP, Floats, Groups
from core.inference.native import library
from core.inference.native.library import Kernels
from core.inference.networks.decoder import DTYPE_CODES
from core.inference.weights.groups import group_count, group_panels
from core.inference.weights.panels import float_panels
from core.inference.weights.precision import INT4, INT8
from tests.core.inference.weights import matrices

LARGEST = 127
"""Largest number of an activation."""
LOWEST = {INT8: -128, INT4: -8}
HIGHEST = {INT8: 127, INT4: 7}

Multiply = Callable[[Groups, Floats], Floats]


@pytest.fixture(params=[1, 3])
def pool(request: pytest.FixtureRequest, compiled: ctypes.CDLL) -> Iterator[int]:
    kernels = Kernels(compiled, "")
    pool = kernels.open_pool(request.param)
    yield pool
    kernels.close_pool(pool)


@pytest.fixture(params=[INT8, INT4], ids=str)
def dtype(request: pytest.FixtureRequest) -> np.dtype[Any]:
    found: np.dtype[Any] = request.param
    return found


@pytest.fixture
def multiply(compiled: ctypes.CDLL, pool: int, dtype: np.dtype[Any]) -> Multiply:
    """A matrix of `dtype` times activations [tokens, columns], as floats [tokens, rows]."""
    return partial(_multiply, compiled, pool, dtype)


def _multiply(compiled: ctypes.CDLL, pool: int, dtype: np.dtype[Any], weight: Groups, activations: Floats) -> Floats:
    packed = group_panels(weight, dtype)
    shifts = None if weight.shifts is None else float_panels(weight.shifts)
    matrix = library.Linear(
        weight=packed.ctypes.data,
        shifts=None if shifts is None else shifts.ctypes.data,
        rows=len(weight.scales),
        columns=activations.shape[1],
        dtype=DTYPE_CODES[dtype],
    )
    output = np.full((len(activations), matrix.rows), np.nan, np.float32)
    compiled.multiply_once(pool, matrix, activations.ctypes.data, output.ctypes.data, len(activations))
    return output


def numbers(random: np.random.Generator, rows: int, groups: int, dtype: np.dtype[Any]) -> NDArray[np.int8]:
    found = random.integers(LOWEST[dtype], HIGHEST[dtype] + 1, (rows, groups, GROUP), np.int8)
    found[0] = LOWEST[dtype]
    return found


def activations(random: np.random.Generator, tokens: int, columns: int) -> Floats:
    """Integers that are quantised as they are, since each group has the largest number of either sign."""
    found = random.integers(-LARGEST, LARGEST + 1, (tokens, columns)).astype(np.float32)
    found[:, ::16] = LARGEST
    found[tokens // 2 :: 3] = LARGEST
    found[tokens // 2 + 1 :: 3] = -LARGEST
    return found


@pytest.mark.parametrize("is_shifted", [False, True])
@pytest.mark.parametrize("rows", [1, 15, 16, 17, 80, 200])
@pytest.mark.parametrize("columns", [16, 32, 48, 160])
def test_products_are_exact(
    multiply: Multiply, dtype: np.dtype[Any], rows: int, columns: int, *, is_shifted: bool
) -> None:
    """Every group's sum is the exact integer: with scales that are powers of two and such shifts, so is the whole
    product, for all sizes of matrices, for no, one, few and many tokens, and for the largest numbers of either sign.
    """
    random = np.random.default_rng(rows * columns)
    size = (rows, group_count(columns))
    scales = np.exp2(-random.integers(0, 3, size)).astype(np.float16)
    shifts = (random.integers(-20, 21, size) / 4).astype(np.float32) if is_shifted else None
    weight = Groups(numbers=numbers(random, *size, dtype), scales=scales, shifts=shifts)
    floats = matrices.floats(weight).astype(np.float64)[:, :columns]
    for tokens in (*range(10), 13, 14, 16, 33):
        found = activations(random, tokens, columns)
        assert np.array_equal(multiply(weight, found), found @ floats.T)


def test_many_rows(multiply: Multiply, dtype: np.dtype[Any]) -> None:
    """Threads claim all panels of a large matrix, and the last one's rows are no more than there are."""
    random = np.random.default_rng(1)
    weight = Groups(numbers=numbers(random, 2001, 1, dtype), scales=np.ones((2001, 1), np.float16))
    found = activations(random, 6, GROUP)
    assert np.array_equal(multiply(weight, found), found @ weight.numbers[:, 0].T.astype(np.float64))


def test_a_token_has_the_same_product_in_any_batch(multiply: Multiply, dtype: np.dtype[Any]) -> None:
    """Groups are added in their order whatever the tile: a token's product is the same to the last bit."""
    random = np.random.default_rng(0)
    weight = Groups(
        numbers=numbers(random, 40, 9, dtype),
        scales=random.random((40, 9)).astype(np.float16),
        shifts=random.standard_normal((40, 9), np.float32),
    )
    found = random.standard_normal((21, 9 * GROUP), np.float32)
    together = multiply(weight, found)
    alone = [multiply(weight, found[token : token + 1]) for token in range(21)]
    assert np.array_equal(together, np.concatenate(alone))


def test_activations_are_rounded_by_groups(multiply: Multiply) -> None:
    """A group's activations are exact to half a step of a 127th of its largest one, however large another group is;
    zeros stay zeros.
    """
    random = np.random.default_rng(0)
    one_hot = np.zeros((2 * GROUP, 2 * GROUP), np.int8)
    np.fill_diagonal(one_hot, 1)
    weight = Groups(numbers=one_hot.reshape(-1, 2, GROUP), scales=np.ones((2 * GROUP, 2), np.float16))
    found = random.standard_normal((7, 2 * GROUP), np.float32)
    found[:, GROUP:] *= 1e4
    found[3, :GROUP] = 0
    step = np.abs(found.reshape(7, 2, GROUP)).max(-1, keepdims=True) / LARGEST
    error = np.abs(multiply(weight, found) - found).reshape(7, 2, GROUP)
    assert (error <= 0.5001 * step).all()
