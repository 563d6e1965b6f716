"""Keys and values in the cache, at every level that this processor can run."""

import ctypes
from dataclasses import dataclass

import numpy as np
import pytest

from core.inference.arrays import Array, Floats, empty
from core.inference.batching.prefix import BLOCK_SIZE
from core.inference.native import library
from core.inference.networks.decoder import DTYPE_CODES, KV_GROUP
from core.inference.networks.rope import rotations
from core.inference.weights.precision import FP16, FP32, INT8

KV_HEADS = 2
LARGEST = 127
HALF_STEP = 0.5 / LARGEST + 2**-10
"""Largest error of a rounded number, and of the scale in fp16, in terms of the largest number of its group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneBlock:
    """A cache of one block, for a model of one layer and one query head for each of two key-value heads."""

    compiled: ctypes.CDLL
    model: library.Model
    cache: Array

    def store(self, first: int, keys: Floats, values: Floats) -> None:
        """Store tokens from slot `first` on: [tokens, heads, head_dim]."""
        projected = np.ascontiguousarray(np.concatenate([np.zeros_like(keys), keys, values], axis=1), np.float32)
        self.compiled.cache_once(self.model, self._batch(first, len(keys)), projected.ctypes.data)

    def read(self, head: int) -> tuple[Floats, Floats]:
        """Keys and values of a head, [slots, head_dim]."""
        keys = empty((self.model.head_dim, BLOCK_SIZE), FP32)
        values = empty((BLOCK_SIZE, self.model.head_dim), FP32)
        self.compiled.unpack_once(self.model, self._batch(0, 1), head, keys.ctypes.data, values.ctypes.data)
        return keys.T, values

    def _batch(self, first: int, tokens: int) -> library.Batch:
        positions, zeros = np.arange(first, first + tokens, dtype=np.int32), np.zeros(tokens, np.int32)
        batch = library.Batch(
            positions=positions.ctypes.data,
            sequences=zeros.ctypes.data,
            block_tables=zeros.ctypes.data,
            kv_cache=self.cache.ctypes.data,
            tokens=tokens,
            block_table_stride=1,
        )
        batch.kept = positions, zeros
        return batch


def one_block(compiled: ctypes.CDLL, dtype: np.dtype[np.generic], frequencies: Floats) -> OneBlock:
    turned = rotations(frequencies, BLOCK_SIZE)
    layers = (library.Layer * 1)(library.Layer(slot_rotations=turned.ctypes.data))
    model = library.Model(
        layers=layers,
        kv_dtype=DTYPE_CODES[dtype],
        layer_count=1,
        heads=KV_HEADS,
        kv_heads=KV_HEADS,
        head_dim=2 * len(frequencies),
    )
    model.kept = turned
    compiled.block_bytes.restype = ctypes.c_size_t
    return OneBlock(compiled=compiled, model=model, cache=empty((compiled.block_bytes(ctypes.byref(model)),), np.uint8))


def tokens(head_dim: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(head_dim)
    keys, values = random.standard_normal((2, BLOCK_SIZE, KV_HEADS, head_dim), np.float32)
    return keys, values


def rotated(constant: Floats, frequencies: Floats) -> Floats:
    """A constant key, rotated to the position of each slot: [slots, head_dim]."""
    cosines, sines = (rotations(frequencies, BLOCK_SIZE)[:, part].T for part in (0, 1))
    first, second = np.split(constant, 2)
    return np.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=1)


def frequencies(head_dim: int) -> Floats:
    return np.float32(10_000) ** -np.linspace(0, 1, head_dim // 2, dtype=np.float32)


@pytest.mark.parametrize("head_dim", [16, 48, 64, 128])
def test_keys_lose_nothing_to_what_they_have_in_common(compiled: ctypes.CDLL, head_dim: int) -> None:
    """Keys that share a huge part, which RoPE rotates, are as exact in int8 as those that do not."""
    speeds = frequencies(head_dim)
    block = one_block(compiled, INT8, speeds)
    keys, values = tokens(head_dim)
    constant = np.zeros(head_dim, np.float32)
    constant[:: head_dim // 8] = 150.0
    common = rotated(constant, speeds)[:, None]
    largest = 2 * np.abs(keys).max()
    for added in (0 * common, common):
        block.store(0, keys + added, values)
        for head in range(KV_HEADS):
            found, _ = block.read(head)
            assert np.abs(found - (keys + added)[:, head]).max() < largest * HALF_STEP + 150 * 2**-11 * LARGEST**-1


@pytest.mark.parametrize("head_dim", [16, 48, 64, 128])
def test_values_are_rounded_by_groups(compiled: ctypes.CDLL, head_dim: int) -> None:
    """A value in int8 is exact to half a step of its group's largest number."""
    block = one_block(compiled, INT8, frequencies(head_dim))
    keys, values = tokens(head_dim)
    values[..., :KV_GROUP] *= 100
    block.store(0, keys, values)
    for head in range(KV_HEADS):
        _, found = block.read(head)
        groups = values[:, head].reshape(-1, KV_GROUP)
        errors = np.abs(found.reshape(-1, KV_GROUP) - groups)
        assert (errors <= HALF_STEP * np.abs(groups).max(1, keepdims=True)).all()


@pytest.mark.parametrize("dtype", [INT8, FP16, FP32], ids=str)
def test_a_block_is_the_same_however_it_was_filled(compiled: ctypes.CDLL, dtype: np.dtype[np.generic]) -> None:
    """Token by token, in chunks or at once: the block's bytes are the same."""
    keys, values = tokens(64)
    filled = []
    for size in (1, 3, 16):
        block = one_block(compiled, dtype, frequencies(64))
        for first in range(0, BLOCK_SIZE, size):
            block.store(first, keys[first : first + size], values[first : first + size])
        filled.append(block.cache.tobytes())
    assert filled[0] == filled[1] == filled[2]


def test_floats_are_kept(compiled: ctypes.CDLL) -> None:
    """fp32 is kept as it is, fp16 to its precision."""
    keys, values = tokens(48)
    for dtype, error in ((FP32, 0.0), (FP16, 2**-11)):
        block = one_block(compiled, dtype, frequencies(48))
        block.store(0, keys, values)
        for head in range(KV_HEADS):
            found = block.read(head)
            for own, exact in zip(found, (keys[:, head], values[:, head]), strict=True):
                np.testing.assert_allclose(own, exact, rtol=error, atol=1e-7)
