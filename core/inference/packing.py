"""From a checkpoint's tensors to packed ones: fused, quantised where asked for, in the kernels' order."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from core.inference.arrays import Array, Floats, empty
from core.inference.precision import FP32, INT8
from core.inference.quantise import (
    MAX_ACTIVATION,
    PANEL,
    activation_limit,
    panel_shape,
    panels,
    quantise,
    whole_panels,
)
from core.inference.shape import Shape

ROWS_AT_ONCE = 16 * PANEL
"""As many are in a wider type at a time, near the processor; a whole vocabulary would be half a gigabyte."""
EVERYWHERE = {"attention_norm", "mlp_norm", "norm"}
"""Vectors that no model of the family is without."""


class Source(Protocol):
    """A tensor of the checkpoint, of which only those rows are read that are asked for."""

    def get_shape(self) -> list[int]: ...

    def __getitem__(self, rows: slice) -> Array: ...


Read: TypeAlias = Callable[[str], Source | None]
"""A tensor of the checkpoint by its name in transformers, None where there is none."""
Packed: TypeAlias = Iterator[tuple[str, Array]]
"""Packed tensors with their names."""


class Unpackable(Exception):
    """A checkpoint lacks a weight, or has it in another shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Tensors of the checkpoint that are kept one below the other, of each layer or of the whole model.

    `parts` are their names in transformers, with a place for the layer's number, and how many rows each has.
    """

    parts: Mapping[str, int]
    layers: int = 1

    @property
    def rows(self) -> int:
        return sum(self.parts.values())

    def tensors(self, kind: str) -> list[Mapping[str, int]]:
        """Each layer's tensors of a kind, "weight" or "bias", and their rows."""
        return [
            {f"{part.format(layer)}.{kind}": rows for part, rows in self.parts.items()} for layer in range(self.layers)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix(Stack):
    """Matrices that share an input of so many `columns`."""

    columns: int


def matrices(shape: Shape) -> Mapping[str, Matrix]:
    """All matrices of a model by their packed names."""
    attended, cached = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim

    of_layers = {
        "qkv": (shape.hidden, {"self_attn.q_proj": attended, "self_attn.k_proj": cached, "self_attn.v_proj": cached}),
        "out": (attended, {"self_attn.o_proj": shape.hidden}),
        "gate_up": (shape.hidden, {"mlp.gate_proj": shape.intermediate, "mlp.up_proj": shape.intermediate}),
        "down": (shape.intermediate, {"mlp.down_proj": shape.hidden}),
    }
    embedding = Matrix(parts={"model.embed_tokens": shape.vocabulary}, columns=shape.hidden)
    head = Matrix(parts={"lm_head": shape.vocabulary}, columns=shape.hidden)
    return {
        **{
            name: Matrix(parts=_in_layers(parts), layers=shape.layers, columns=columns)
            for name, (columns, parts) in of_layers.items()
        },
        "embedding": embedding,
        **({} if shape.tied else {"head": head}),
    }


def norms(shape: Shape) -> Mapping[str, Stack]:
    """All norms of a model by their packed names; some models have none of queries and keys."""
    of_layers = {
        "attention_norm": {"input_layernorm": shape.hidden},
        "mlp_norm": {"post_attention_layernorm": shape.hidden},
        "query_norm": {"self_attn.q_norm": shape.head_dim},
        "key_norm": {"self_attn.k_norm": shape.head_dim},
    }
    stacks = {name: Stack(parts=_in_layers(parts), layers=shape.layers) for name, parts in of_layers.items()}
    return {**stacks, "norm": Stack(parts={"model.norm": shape.hidden})}


def _in_layers(parts: Mapping[str, int]) -> Mapping[str, int]:
    return {f"model.layers.{{}}.{part}": rows for part, rows in parts.items()}


def pack(read: Read, shape: Shape, dtype: np.dtype[Any]) -> Packed:
    """Every tensor that the kernels need, of all layers as one: [layers, ...], or [1, ...] of the whole model.

    Unpackable where the checkpoint is not one of this shape.
    """
    for name, matrix in matrices(shape).items():
        if dtype == INT8:
            yield from _pack_int8(name, matrix, read)
        else:
            yield from _pack_floats(name, matrix, dtype, read)
        yield from _pack_vectors(f"{name}.bias", matrix.tensors("bias"), read)
    for name, norm in norms(shape).items():
        yield from _pack_vectors(name, norm.tensors("weight"), read)


def _pack_int8(name: str, matrix: Matrix, read: Read) -> Packed:
    weights = empty(panel_shape(matrix.layers, matrix.rows, matrix.columns, INT8), INT8)
    scales = empty((*weights.shape[:2], PANEL), FP32)
    limits = np.full(matrix.layers, MAX_ACTIVATION, np.int32)
    for layer, place, rows in _pieces(matrix, read):
        quantised, scale = quantise(rows)
        weights[layer, place] = panels(quantised)
        scales[layer, place] = whole_panels(scale).reshape(-1, PANEL)
        limits[layer] = min(limits[layer], activation_limit(quantised))
    yield from ((name, weights), (f"{name}.scale", scales), (f"{name}.limit", limits))


def _pack_floats(name: str, matrix: Matrix, dtype: np.dtype[Any], read: Read) -> Packed:
    weights = empty(panel_shape(matrix.layers, matrix.rows, matrix.columns, dtype), dtype)
    for layer, place, rows in _pieces(matrix, read):
        weights[layer, place] = panels(rows.astype(dtype))
    yield name, weights


def _pieces(matrix: Matrix, read: Read) -> Iterator[tuple[int, slice, Floats]]:
    """Some rows of a matrix at a time, float32 [rows, columns], with their layer and the panels that they fill."""
    for layer, parts in enumerate(matrix.tensors("weight")):
        panel = 0
        for name, rows in parts.items():
            source = _source(read, name, [rows, matrix.columns])
            for start in range(0, rows, ROWS_AT_ONCE):
                piece = source[start : min(start + ROWS_AT_ONCE, rows)].astype(np.float32)
                end = panel - -len(piece) // PANEL
                yield layer, slice(panel, end), piece
                panel = end


def _pack_vectors(name: str, layers: list[Mapping[str, int]], read: Read) -> Packed:
    """A vector for each layer, float32 in whole panels, if the model has such ones."""
    if name not in EVERYWHERE and all(read(part) is None for parts in layers for part in parts):
        return
    vectors = [
        whole_panels(np.concatenate([_source(read, part, [rows])[:] for part, rows in parts.items()]))
        for parts in layers
    ]
    yield name, np.stack(vectors)


def _source(read: Read, name: str, shape: list[int]) -> Source:
    found = read(name)
    if found is None:
        raise Unpackable(f"{name} is missing")
    if found.get_shape() != shape:
        raise Unpackable(f"{name} is {found.get_shape()}, not {shape}")
    return found
