"""Which matrices of a model have which type."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.inference.checkpoint.opening import open_checkpoint
from core.inference.weights.groups import panel_bytes
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
    """Attention and embedding are int8."""
    packed = dict(pack(open_checkpoint(tiny_folder).read, shape, INT4))
    for name, matrix in matrices(shape).items():
        dtype = INT4 if name in {"gate_up", "down"} else INT8
        assert packed[name].shape == (matrix.layers, -(-matrix.rows // 16), panel_bytes(matrix.columns, dtype))


@pytest.mark.parametrize("dtype", [INT8, BF16])
def test_what_is_not_int4_is_of_one_type(shape: Shape, dtype: np.dtype[Any]) -> None:
    assert {matrix_dtype(name, dtype) for name in matrices(shape)} == {dtype}
