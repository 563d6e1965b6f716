"""The integers that "auto" comes to."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.choice import MOST_LOST, choose, known_choice, remember
from core.inference.weights.layout import weight_count
from core.inference.weights.precision import Precision
from core.inference.weights.shape import Shape
from tests.core.inference.tiny import shape_of


@pytest.fixture
def checkpoint(tiny_folder: Path) -> Checkpoint:
    return open_checkpoint(tiny_folder)


@pytest.fixture
def shape(tiny_folder: Path) -> Shape:
    return shape_of(tiny_folder)


def test_int4_is_taken_if_it_loses_little() -> None:
    assert choose(MOST_LOST).dtype is Precision.INT4
    assert choose(MOST_LOST * 1.01).dtype is Precision.INT8
    assert choose(float("nan")).dtype is Precision.INT8


def test_a_small_model_is_int8(checkpoint: Checkpoint, shape: Shape, tmp_path: Path) -> None:
    """It is not measured, and nothing is kept."""
    found = known_choice(checkpoint, shape, tmp_path)
    assert found
    assert found.dtype is Precision.INT8
    assert "million weights" in found.reason
    assert not [*tmp_path.iterdir()]


def test_a_choice_is_remembered(checkpoint: Checkpoint, shape: Shape, tmp_path: Path) -> None:
    """It holds for this version of the model; a later one replaces it."""
    assert known_choice(checkpoint, shape, tmp_path, large=0) is None
    remember(choose(0.01), checkpoint, shape, tmp_path)
    found = known_choice(checkpoint, shape, tmp_path, large=0)
    assert found == choose(0.01)
    assert "0.010 nats" in found.reason
    newer = replace(checkpoint, files=())
    assert known_choice(newer, shape, tmp_path, large=0) is None
    remember(choose(1), newer, shape, tmp_path)
    assert known_choice(checkpoint, shape, tmp_path, large=0) is None
    assert len([*tmp_path.iterdir()]) == 1


def test_without_the_memory_to_round_it_a_model_is_int8(checkpoint: Checkpoint, shape: Shape, tmp_path: Path) -> None:
    """It is measured once there is enough, and what was measured before holds."""
    needed = 3 * weight_count(shape)
    found = known_choice(checkpoint, shape, tmp_path, large=0, available=needed - 1)
    assert found
    assert found.dtype is Precision.INT8
    assert "GB of memory" in found.reason
    assert known_choice(checkpoint, shape, tmp_path, large=0, available=needed) is None
    remember(choose(0.01), checkpoint, shape, tmp_path)
    assert known_choice(checkpoint, shape, tmp_path, large=0, available=needed - 1) == choose(0.01)


@pytest.mark.parametrize("text", ["", "{}", '{"dtype": "fp32"}'])
def test_a_damaged_choice_is_none(checkpoint: Checkpoint, shape: Shape, tmp_path: Path, text: str) -> None:
    remember(choose(0.01), checkpoint, shape, tmp_path)
    [path] = tmp_path.iterdir()
    path.write_text(text)
    assert known_choice(checkpoint, shape, tmp_path, large=0) is None
