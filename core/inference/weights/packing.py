"""Pack a checkpoint: fuse its tensors, convert or quantise them, and arrange them in the kernels' order."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np

from core.inference.arrays import Array, Floats, empty
from core.inference.checkpoint.checkpoint import Read, Source
from core.inference.weights.groups import group_panels, panel_bytes
from core.inference.weights.layout import Matrix, Part, matrices, norms
from core.inference.weights.panels import PANEL, float_panels, panel_count, whole_panels
from core.inference.weights.precision import INT4, INT8
from core.inference.weights.quantise import quantise
from core.inference.weights.shape import Shape

ROWS_AT_ONCE = 16 * PANEL
"""Rows converted at a time. They fit the CPU cache; a whole embedding as float32 would take half a gigabyte."""
MLP = {"gate_up", "down"}
REQUIRED = {"attention_norm", "mlp_norm", "norm"}
"""Vectors that every model of the family has; biases and the other norms are optional."""
Packed: TypeAlias = Iterator[tuple[str, Array]]
"""Packed names and tensors."""


class Unpackable(Exception):
    """A tensor is missing from the checkpoint or has another shape."""


def pack(read: Read, shape: Shape, dtype: np.dtype[Any]) -> Packed:
    """Every tensor that the kernels need: [layers, ...], or [1, ...] for tensors of the whole model.

    Raises Unpackable if the checkpoint does not have this shape.
    """
    for name, matrix in matrices(shape).items():
        kind = matrix_dtype(name, dtype)
        yield name, (_pack_integers if kind in (INT4, INT8) else _pack_floats)(matrix, kind, read)
        yield from _pack_vectors(f"{name}.bias", matrix.tensors("bias"), read)
    for name, norm in norms(shape).items():
        yield from _pack_vectors(name, norm.tensors("weight"), read)


def matrix_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type of one matrix of a model of this type.

    Of an int4 model the MLPs are int4, which have most of the weights. What is int8 all the same costs more than it
    saves: attention is an eighth of the layers and half of the loss, an error of the head is in every logit, and a
    token reads one row of the embedding.
    """
    return INT8 if dtype == INT4 and name not in MLP else dtype


def _pack_integers(matrix: Matrix, dtype: np.dtype[Any], read: Read) -> Array:
    packed = empty((matrix.layers, panel_count(matrix.rows), panel_bytes(matrix.columns, dtype)), np.uint8)
    for layer, span, rows in _pieces(matrix, read):
        packed[layer, span] = group_panels(quantise(rows, dtype), dtype)
    return packed


def _pack_floats(matrix: Matrix, dtype: np.dtype[Any], read: Read) -> Array:
    packed = empty((matrix.layers, panel_count(matrix.rows), matrix.columns, PANEL), dtype)
    for layer, span, rows in _pieces(matrix, read):
        packed[layer, span] = float_panels(rows.astype(dtype))
    return packed


def _pieces(matrix: Matrix, read: Read) -> Iterator[tuple[int, slice, Floats]]:
    """A matrix in pieces: layer, the span of panels, and the rows for it, float32 [rows, columns]."""
    for layer, parts in enumerate(matrix.tensors("weight")):
        panel = 0
        for name, part in parts.items():
            source = _source(read, name, [part.rows, matrix.columns])
            for start in range(0, part.rows, ROWS_AT_ONCE):
                rows = source[start : min(start + ROWS_AT_ONCE, part.rows)]
                piece = rows.astype(np.float32) * np.float32(part.factor)
                end = panel - -len(piece) // PANEL
                yield layer, slice(panel, end), piece
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
