"""Which matrices of a model have which type, and what becomes of a file's own integers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.inference.arrays import GROUP, Array, Floats, Groups
from core.inference.checkpoint.checkpoint import Read, Source
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.weights.groups import group_panels, panel_bytes
from core.inference.weights.layout import matrices
from core.inference.weights.packing import LARGE_VOCABULARY, PREVIEW, Int4, Quantise, matrix_dtype, pack, to_nearest
from core.inference.weights.panels import float_panels
from core.inference.weights.precision import BF16, INT4, INT8
from core.inference.weights.quantise import quantise_int4, quantise_int8
from core.inference.weights.shape import Multipliers, Shape
from tests.core.inference.tiny import shape_of
from tests.core.inference.weights.matrices import floats

DOWN = "model.layers.0.mlp.down_proj.weight"
HALF = np.float32(0.5)
EMBEDDING = "model.embed_tokens.weight"


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of a file that has integers."""

    stored: Groups

    def get_shape(self) -> list[int]:
        rows, groups = self.stored.scales.shape
        return [rows, groups * GROUP]

    def __getitem__(self, rows: slice) -> Array:
        return floats(self.stored)[rows]

    def groups(self, rows: slice) -> Groups:
        numbers, scales, shifts = self.stored.numbers[rows], self.stored.scales[rows], self.stored.shifts
        return Groups(numbers=numbers, scales=scales, shifts=None if shifts is None else shifts[rows])


def quantise(weight: Floats, dtype: np.dtype[Any]) -> Groups:
    return quantise_int8(weight) if dtype == INT8 else quantise_int4(weight)


def stored(shape: Shape, largest: int) -> Groups:
    """Integers of `down` in a file."""
    return integers(shape.hidden, shape.intermediate, largest)


def integers(rows: int, columns: int, largest: int) -> Groups:
    """Numbers without a group's largest one, so that quantising would choose other scales."""
    random = np.random.default_rng(3)
    size = (rows, columns // GROUP)
    numbers = random.integers(-largest, largest + 1, (*size, GROUP), np.int8)
    return Groups(numbers=numbers, scales=random.random(size).astype(np.float16))


def packed_down(folder: Path, shape: Shape, groups: Groups, dtype: np.dtype[Any], int4: Int4 = to_nearest) -> Array:
    """The packed `down` of layer 0 if the file has it as these integers."""
    packed: Array = packed_with(folder, shape, {DOWN: groups}, dtype, int4)["down"][0]
    return packed


def packed_with(
    folder: Path,
    shape: Shape,
    stored: Mapping[str, Groups],
    dtype: np.dtype[Any],
    int4: Int4 = to_nearest,
) -> Mapping[str, Array]:
    """The packed model if the file has some tensors as integers."""
    read: Read = open_checkpoint(folder).read

    def with_stored(name: str) -> Source | None:
        return Stored(stored[name]) if name in stored else read(name)

    return dict(pack(with_stored, shape, dtype, int4))


@pytest.fixture
def shape(tiny_folder: Path) -> Shape:
    return shape_of(tiny_folder)


def test_the_mlps_of_an_int4_model_are_int4(tiny_folder: Path, shape: Shape) -> None:
    """Attention and embedding are int8."""
    packed = dict(pack(open_checkpoint(tiny_folder).read, shape, INT4))
    for name, matrix in matrices(shape).items():
        dtype = INT4 if name in {"gate_up", "down"} else INT8
        assert packed[name].shape == (matrix.layers, -(-matrix.rows // 16), panel_bytes(matrix.columns, dtype))


@pytest.mark.parametrize("dtype", [INT8, BF16])
def test_what_is_not_int4_is_of_one_type(shape: Shape, dtype: np.dtype[Any]) -> None:
    assert {matrix_dtype(name, dtype) for name in matrices(shape)} == {dtype}


@pytest.mark.parametrize("dtype", [INT8, INT4])
def test_the_head_of_a_large_vocabulary_has_a_preview(tiny_folder: Path, shape: Shape, dtype: np.dtype[Any]) -> None:
    """It is the head in int4: rounded to nearest, or the file's own numbers if they are int4."""
    for largest in (100, 5):
        head = integers(LARGE_VOCABULARY, shape.hidden, largest)
        packed = packed_with(tiny_folder, replace(shape, vocabulary=LARGE_VOCABULARY), {EMBEDDING: head}, dtype)
        expected = head if largest == 5 else quantise_int4(floats(head))
        assert np.array_equal(packed[PREVIEW][0], group_panels(expected, INT4))


def test_other_heads_have_no_preview(tiny_folder: Path, shape: Shape) -> None:
    """Neither that of a small vocabulary nor that of floats."""
    head = integers(LARGE_VOCABULARY, shape.hidden, 100)
    large = replace(shape, vocabulary=LARGE_VOCABULARY)
    assert PREVIEW not in packed_with(tiny_folder, large, {EMBEDDING: head}, BF16)
    assert PREVIEW not in packed_with(tiny_folder, shape, {}, INT8)


@pytest.mark.parametrize(("dtype", "largest"), [(INT8, 100), (INT8, 5), (INT4, 5)])
def test_integers_of_a_file_stay_as_they_are(
    tiny_folder: Path, shape: Shape, dtype: np.dtype[Any], largest: int
) -> None:
    """Numbers and scales are packed bit by bit if the type has room for them."""
    groups = stored(shape, largest)
    found = packed_down(tiny_folder, shape, groups, dtype)
    assert np.array_equal(found, group_panels(groups, dtype))
    assert not np.array_equal(found, group_panels(quantise(floats(groups), dtype), dtype))


def test_integers_that_are_too_large_are_quantised(tiny_folder: Path, shape: Shape) -> None:
    groups = stored(shape, 100)
    expected = group_panels(quantise(floats(groups), INT4), INT4)
    assert np.array_equal(packed_down(tiny_folder, shape, groups, INT4), expected)


def test_integers_with_a_factor_are_quantised(tiny_folder: Path, shape: Shape) -> None:
    """The factor of a Granite model is a part of the weights, and the scales may not have room for it."""
    groups, halved = stored(shape, 100), replace(shape, multipliers=Multipliers(residual=0.3))
    expected = group_panels(quantise(floats(groups) * np.float32(0.3), INT8), INT8)
    assert np.array_equal(packed_down(tiny_folder, halved, groups, INT8), expected)


def shifted(groups: Groups) -> Groups:
    return replace(groups, shifts=np.random.default_rng(7).standard_normal(groups.scales.shape, np.float32))


@pytest.mark.parametrize("dtype", [INT8, INT4])
def test_shifts_of_a_file_are_packed(tiny_folder: Path, shape: Shape, dtype: np.dtype[Any]) -> None:
    """Beside the numbers, panel by panel. A layer whose integers have none, and one that is quantised, has zeros."""
    groups = shifted(stored(shape, 5))
    packed = packed_with(tiny_folder, shape, {DOWN: groups}, dtype)
    assert np.array_equal(packed["down"][0], group_panels(groups, dtype))
    assert groups.shifts is not None
    assert np.array_equal(packed["down.shifts"][0], float_panels(groups.shifts))
    assert not packed["down.shifts"][1:].any()
    assert {name for name in packed if name.endswith(".shifts")} == {"down.shifts"}


@pytest.mark.parametrize("dtype", [INT8, INT4])
def test_an_embedding_has_no_shifts(tiny_folder: Path, shape: Shape, dtype: np.dtype[Any]) -> None:
    """It is quantised, and so is the preview of a head."""
    groups = shifted(integers(LARGE_VOCABULARY, shape.hidden, 5))
    packed = packed_with(tiny_folder, replace(shape, vocabulary=LARGE_VOCABULARY), {EMBEDDING: groups}, dtype)
    assert np.array_equal(packed["embedding"][0], group_panels(quantise_int8(floats(groups)), INT8))
    assert np.array_equal(packed[PREVIEW][0], group_panels(quantise_int4(floats(groups)), INT4))
    assert not any(name.endswith(".shifts") for name in packed)


def test_int4_is_rounded_as_the_caller_wants(tiny_folder: Path, shape: Shape) -> None:
    """Each matrix of the MLPs in its layer; the preview of a head is rounded to nearest."""
    asked = set()

    def halved(name: str, layer: int) -> Quantise:
        asked.add((name, layer))
        return lambda rows: quantise_int4(rows * HALF)

    groups = stored(shape, 100)
    expected = group_panels(quantise_int4(floats(groups) * HALF), INT4)
    assert np.array_equal(packed_down(tiny_folder, shape, groups, INT4, halved), expected)
    assert asked == {(name, layer) for name in ("gate_up", "down") for layer in range(shape.layers)}
