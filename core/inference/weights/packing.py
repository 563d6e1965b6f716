"""Pack a checkpoint: fuse its tensors, convert or quantise them, and arrange them in the kernels' order."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias

import numpy as np

from core.inference.arrays import Array, Floats, Groups, empty
from core.inference.checkpoint.checkpoint import Read, Source
from core.inference.weights.groups import group_count, group_panels, panel_bytes
from core.inference.weights.layout import Matrix, Part, head, matrices, norms
from core.inference.weights.panels import PANEL, float_panels, panel_count, whole_panels
from core.inference.weights.precision import INT4, INT8
from core.inference.weights.quantise import fits_int4, quantise_int4, quantise_int8
from core.inference.weights.shape import Shape

ROWS_AT_ONCE = 16 * PANEL
"""Rows converted at a time. They fit the CPU cache; a whole embedding as float32 would take half a gigabyte."""
MLP = {"gate_up", "down"}
SHIFTED = {"qkv", "out", *MLP}
"""Matrices whose groups may have shifts. These are added to whole products, and of an embedding and a head some rows
are read alone.
"""
PREVIEW = "preview"
"""Packed name of the int4 copy of the head, see native/head.h."""
LARGE_VOCABULARY = 1 << 14
"""Tokens from which on a preview of the head saves more than it costs: 2,048 of them are computed twice."""
REQUIRED = {"attention_norm", "mlp_norm", "norm"}
"""Vectors that every model of the family has; biases and the other norms are optional."""
Packed: TypeAlias = Iterator[tuple[str, Array]]
"""Packed names and tensors."""
Quantise: TypeAlias = Callable[[Floats], Groups]
"""Quantises rows of a matrix, [rows, columns]."""
Int4: TypeAlias = Callable[[str, int], Quantise]
"""How rows of a matrix become int4, by its packed name and layer."""


class Unpackable(Exception):
    """A tensor is missing from the checkpoint or has another shape."""


def to_nearest(_name: str, _layer: int) -> Quantise:
    return quantise_int4


def _to_int8(_layer: int) -> Quantise:
    return quantise_int8


def pack(read: Read, shape: Shape, dtype: np.dtype[Any], int4: Int4 = to_nearest) -> Packed:
    """Every tensor that the kernels need: [layers, ...], or [1, ...] for tensors of the whole model.

    `int4` is asked if the file has no int4 of its own. Raises Unpackable if the checkpoint does not have this shape.
    """
    for name, matrix in matrices(shape).items():
        kind = matrix_dtype(name, dtype)
        if kind in (INT8, INT4):
            yield from _pack_groups(name, matrix, kind, read, partial(int4, name) if kind == INT4 else _to_int8)
        else:
            yield name, _pack_floats(matrix, kind, read)
        yield from _pack_vectors(f"{name}.bias", matrix.tensors("bias"), read)
    if has_preview(shape, dtype):
        yield from _pack_groups(PREVIEW, matrices(shape)[head(shape)], INT4, read, partial(to_nearest, PREVIEW))
    for name, norm in norms(shape).items():
        yield from _pack_vectors(name, norm.tensors("weight"), read)


def matrix_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type of one matrix of a model of this type.

    Of an int4 model the MLPs are int4, which have most of the weights. What is int8 all the same costs more than it
    saves: attention is an eighth of the layers and half of the loss, an error of the head is in every logit, and a
    token reads one row of the embedding.
    """
    return INT8 if dtype == INT4 and name not in MLP else dtype


def has_preview(shape: Shape, dtype: np.dtype[Any]) -> bool:
    """Whether the head of a model of this type is read in two stages."""
    return dtype in (INT8, INT4) and shape.vocabulary >= LARGE_VOCABULARY


def _pack_groups(
    name: str, matrix: Matrix, dtype: np.dtype[Any], read: Read, of_layer: Callable[[int], Quantise]
) -> Packed:
    """A matrix of int8 or int4, and the shifts of its groups if the file has such: [layers, rows / 16, groups, 16].

    `of_layer`: how rows of a layer are quantised. It is called once for each, if the file has no integers for them.
    """
    panels = panel_count(matrix.rows)
    packed = empty((matrix.layers, panels, panel_bytes(matrix.columns, dtype)), np.uint8)
    shifts: Floats = np.zeros((matrix.layers, panels, group_count(matrix.columns), PANEL), np.float32)
    is_shifted, quantise = False, lru_cache(1)(of_layer)
    for layer, span, rows in _pieces(matrix, read):
        stored = rows.stored()
        groups = stored if stored and _is_kept(stored, name, dtype) else quantise(layer)(rows.floats())
        packed[layer, span] = group_panels(groups, dtype)
        if groups.shifts is not None:
            shifts[layer, span], is_shifted = float_panels(groups.shifts), True
    yield name, packed
    if is_shifted:
        yield f"{name}.shifts", shifts


def _is_kept(stored: Groups, name: str, dtype: np.dtype[Any]) -> bool:
    """Whether a matrix keeps the integers of the file."""
    return (dtype == INT8 or fits_int4(stored)) and (stored.shifts is None or name in SHIFTED)


def _pack_floats(matrix: Matrix, dtype: np.dtype[Any], read: Read) -> Array:
    packed = empty((matrix.layers, panel_count(matrix.rows), matrix.columns, PANEL), dtype)
    for layer, span, rows in _pieces(matrix, read):
        packed[layer, span] = float_panels(rows.floats().astype(dtype))
    return packed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Rows of a checkpoint's tensor, times a constant factor."""

    source: Source
    span: slice
    factor: float

    def floats(self) -> Floats:
        return self.source[self.span].astype(np.float32) * np.float32(self.factor)

    def stored(self) -> Groups | None:
        """The file's own integers, if it has such."""
        return self.source.groups(self.span) if self.factor == 1 else None


def _pieces(matrix: Matrix, read: Read) -> Iterator[tuple[int, slice, _Rows]]:
    """A matrix in pieces: layer, the span of panels, and the rows for it."""
    for layer, parts in enumerate(matrix.tensors("weight")):
        panel = 0
        for name, part in parts.items():
            source = _source(read, name, [part.rows, matrix.columns])
            for start in range(0, part.rows, ROWS_AT_ONCE):
                span = slice(start, min(start + ROWS_AT_ONCE, part.rows))
                end = panel + panel_count(span.stop - start)
                yield layer, slice(panel, end), _Rows(source=source, span=span, factor=part.factor)
                panel = end


def _pack_vectors(name: str, layers: list[Mapping[str, Part]], read: Read) -> Packed:
    """One vector per layer, float32, padded to whole panels; nothing if it is optional and the model has none."""
    if name not in REQUIRED and all(read(tensor) is None for parts in layers for tensor in parts):
        return
    vectors = [np.concatenate([_vector(read, tensor, part) for tensor, part in parts.items()]) for parts in layers]
    yield name, np.stack([whole_panels(vector) for vector in vectors])


def _vector(read: Read, name: str, part: Part) -> Floats:
    return _source(read, name, [part.rows])[:].astype(np.float32) * np.float32(part.factor)


def _source(read: Read, name: str, shape: list[int]) -> Source:
    found = read(name)
    if found is None:
        raise Unpackable(f"{name} is missing")
    if found.get_shape() != shape:
        raise Unpackable(f"{name} has shape {found.get_shape()}, not {shape}")
    return found
