"""The lean decoder: models like Llama (`weights/shape.py`). One call of native/decoder.c runs a whole batch."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import Array, Floats, empty
from core.inference.batching.prefix import BLOCK_SIZE
from core.inference.batching.scheduler import Chunk, Step
from core.inference.native import library
from core.inference.native.library import Pool
from core.inference.networks.rope import rope_frequencies, rotations
from core.inference.weights.layout import head, matrices
from core.inference.weights.packing import PREVIEW, has_preview, matrix_dtype
from core.inference.weights.precision import BF16, FP16, FP32, INT4, INT8
from core.inference.weights.shape import Shape

DTYPE_CODES: Final = {FP32: 0, BF16: 1, INT8: 2, INT4: 3, FP16: 4}
"""Types of weights, keys and values: `enum dtype` in native/types.h."""
MATRICES: Final = ("qkv", "out", "gate_up", "down")
NORMS: Final = ("attention_norm", "mlp_norm", "query_norm", "key_norm")
"""Packed tensors of each layer."""
KV_GROUP: Final = 16
"""Channels of a key or value in int8 that share a scale."""
SPECULATIVE_STEPS: Final = {"amx": 8, "avx512-vnni": 8, "avx512": 8, "avx2": 3, "neon-dotprod": 2}
"""Tokens of the largest step that takes little longer than one of one token, by processor level. On other levels two
tokens take almost twice as long.
"""


class Decoder:
    """Packed weights, the KV cache and the compute threads. One thread uses it, and the decoders of the same pool.

    `packed`: the tensors of `packing.pack` for `dtype`. Keys and values are of `kv_dtype`: float32, float16 or int8.
    """

    supports_prefix_cache = True

    def __init__(
        self,
        packed: Mapping[str, Array],
        shape: Shape,
        dtype: np.dtype[Any],
        kv_dtype: np.dtype[Any],
        pool: Pool,
        *,
        blocks: int,
    ) -> None:
        self.shape = shape
        self.dtype = dtype.name
        self._dtype = dtype
        self._kv_dtype = kv_dtype
        self.blocks = blocks
        self._packed = packed
        self._matrices = matrices(shape)
        self._pool = pool
        self._cache = empty((blocks, block_bytes(shape, kv_dtype)), np.uint8)
        self._frequencies = rope_frequencies(shape)
        self._rotations = rotations(self._frequencies, BLOCK_SIZE)
        self._no_rotations = rotations(np.zeros_like(self._frequencies), BLOCK_SIZE)
        self._layers = (library.Layer * shape.layers)(*map(self._layer, range(shape.layers)))
        self._model = self._describe()
        assert pool.kernels.block_bytes(self._model) == block_bytes(shape, kv_dtype)

    @property
    def vocabulary_size(self) -> int:
        return self.shape.vocabulary

    @property
    def context_length(self) -> int:
        return self.shape.context

    @property
    def weight_bytes(self) -> int:
        read_whole = PREVIEW if PREVIEW in self._packed else head(self.shape)
        read_in_part = {"embedding", "head"} - {read_whole}
        return sum(tensor.nbytes for name, tensor in self._packed.items() if name not in read_in_part)

    @property
    def max_speculative_step(self) -> int:
        return SPECULATIVE_STEPS.get(self._pool.kernels.level, 0)

    @property
    def path(self) -> str:
        return f"{self._pool.kernels.level} kernels, {self._kv_dtype.name} KV cache"

    def run(self, step: Step) -> Floats:
        for source, target in step.copies:
            self._cache[target] = self._cache[source]
        logits = empty((sum(chunk.outputs for chunk in step.chunks), self.shape.vocabulary), FP32)
        if step.chunks:
            self._forward(step.chunks, logits)
        return logits

    def observe(self, names: Iterable[str], step: Step) -> Mapping[str, Floats]:
        """Run a step and return the inputs of matrices in each layer, before rounding: [layers, tokens, columns]."""
        tokens = sum(len(chunk.positions) for chunk in step.chunks)
        found = {name: empty((self.shape.layers, tokens, self._matrices[name].columns), FP32) for name in names}
        observed = [
            (getattr(layer, name), found[name][number]) for number, layer in enumerate(self._layers) for name in found
        ]
        for linear, inputs in observed:
            linear.observed = inputs.ctypes.data
        self.run(step)
        for linear, _ in observed:
            linear.observed = None
        return found

    def _forward(self, chunks: tuple[Chunk, ...], logits: Floats) -> None:
        counts = np.array([len(chunk.positions) for chunk in chunks])
        ids = np.fromiter((token for chunk in chunks for token in chunk.ids), np.int32)
        positions = np.fromiter((position for chunk in chunks for position in chunk.positions), np.int32)
        rows = np.repeat(np.arange(len(chunks), dtype=np.int32), counts)
        blocks = _padded([chunk.sequence.block_ids for chunk in chunks])
        ends = zip(counts.cumsum(), chunks, strict=True)
        wanted = np.array([token for end, chunk in ends for token in range(end - chunk.outputs, end)], np.int32)
        scratch = empty((self._pool.kernels.scratch_bytes(self._model, len(ids)),), np.uint8)
        batch = library.Batch(
            ids=ids.ctypes.data,
            positions=positions.ctypes.data,
            sequences=rows.ctypes.data,
            block_tables=blocks.ctypes.data,
            output_tokens=wanted.ctypes.data,
            kv_cache=self._cache.ctypes.data,
            logits=logits.ctypes.data,
            scratch=scratch.ctypes.data,
            tokens=len(ids),
            outputs=len(wanted),
            block_table_stride=blocks.shape[1],
        )
        self._pool.kernels.forward(self._model, batch)

    def _describe(self) -> library.Model:
        shape = self.shape
        return library.Model(
            layers=self._layers,
            final_norm=self._pointer("norm"),
            rope_frequencies=self._frequencies.ctypes.data,
            embedding=self._linear("embedding"),
            lm_head=self._linear(head(shape)),
            preview=self._preview(),
            pool=self._pool.address,
            kv_dtype=DTYPE_CODES[self._kv_dtype],
            layer_count=shape.layers,
            hidden=shape.hidden,
            intermediate=shape.intermediate,
            heads=shape.heads,
            kv_heads=shape.kv_heads,
            head_dim=shape.head_dim,
            epsilon=shape.epsilon,
        )

    def _layer(self, number: int) -> library.Layer:
        is_unrotated = number in self.shape.unrotated
        return library.Layer(
            **{name: self._linear(name, number) for name in MATRICES},
            **{name: self._pointer(name, number) for name in NORMS},
            slot_rotations=(self._no_rotations if is_unrotated else self._rotations).ctypes.data,
            is_unrotated=is_unrotated,
        )

    def _linear(self, name: str, layer: int = 0) -> library.Linear:
        matrix = self._matrices[name]
        return library.Linear(
            weight=self._pointer(name, layer),
            bias=self._pointer(f"{name}.bias", layer),
            shifts=self._shifts(f"{name}.shifts", layer),
            rows=matrix.rows,
            columns=matrix.columns,
            dtype=DTYPE_CODES[matrix_dtype(name, self._dtype)],
        )

    def _shifts(self, name: str, layer: int) -> int | None:
        """None if all are zeros: often a few layers of a file have shifts."""
        return self._pointer(name, layer) if name in self._packed and self._packed[name][layer].any() else None

    def _preview(self) -> library.Linear:
        if not has_preview(self.shape, self._dtype):
            return library.Linear()
        matrix = self._matrices[head(self.shape)]
        return library.Linear(
            weight=self._pointer(PREVIEW), rows=matrix.rows, columns=matrix.columns, dtype=DTYPE_CODES[INT4]
        )

    def _pointer(self, name: str, layer: int = 0) -> int | None:
        return self._packed[name][layer].ctypes.data if name in self._packed else None


def _padded(rows: list[list[int]]) -> NDArray[np.int32]:
    """Rows of different lengths as one array, padded with zeros: [rows, longest row]."""
    array = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for filled, row in zip(array, rows, strict=True):
        filled[: len(row)] = row
    return array


def block_bytes(shape: Shape, dtype: np.dtype[Any]) -> int:
    """Bytes of one KV cache block: keys and values of `BLOCK_SIZE` tokens in all layers, of this type.

    Beside integers there are scales and a base, all in float16: native/kv_int8.h.
    """
    numbers = 2 * shape.layers * shape.kv_heads * shape.head_dim * BLOCK_SIZE
    if dtype == INT8:
        return numbers + 2 * (numbers // KV_GROUP + numbers // 2 // BLOCK_SIZE)
    return numbers * dtype.itemsize
