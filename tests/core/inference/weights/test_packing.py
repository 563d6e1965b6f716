"""Which matrices of a model have which type."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.inference.checkpoint.opening import open_checkpoint
from core.inference.weights.groups import GROUP_BYTES
from core.inference.weights.layout import matrices
from core.inference.weights.packing import matrix_dtype, pack
from core.inference.weights.precision import BF16, INT4, INT8
from core.inference.weights.shape import Shape, lean_shape


@pytest.fixture
def shape(tiny_folder: Path) -> Shape:
    shape = lean_shape(json.loads((tiny_folder / "config.json").read_text()))
    assert shape
    return shape


def test_the_mlps_of_an_int4_model_are_int4(tiny_folder: Path, shape: Shape) -> None:
    """They are packed in groups; attention and embedding are int8, with a scale for each row."""
    packed = dict(pack(open_checkpoint(tiny_folder).read, shape, INT4))
    assert {name for name in matrices(shape) if packed[name].shape[-1] == GROUP_BYTES} == {"gate_up", "down"}
    assert {name for name in matrices(shape) if packed[name].dtype == np.int8} == {"qkv", "out", "embedding"}
    assert {name for name in packed if name.endswith(".scale")} == {"qkv.scale", "out.scale", "embedding.scale"}


def test_columns_that_make_no_whole_groups_stay_int8(shape: Shape) -> None:
    """Each matrix has its own type; what is not int4 is of one type."""
    odd = replace(shape, intermediate=shape.intermediate + 16)
    assert [matrix_dtype(name, matrices(odd)[name], INT4) for name in ("gate_up", "down")] == [INT4, INT8]
    for dtype in (INT8, BF16):
        assert {matrix_dtype(name, matrix, dtype) for name, matrix in matrices(odd).items()} == {dtype}
