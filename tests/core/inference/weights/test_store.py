"""Quantised weights on disk: written once, verified at every start."""

from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from core.errors import ModelDamaged
from core.inference.arrays import Array
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.weights.layout import weight_count
from core.inference.weights.precision import INT4, INT8
from core.inference.weights.store import load_packed
from core.inference.weights.unfinished import PREFIX
from tests.core.inference.tiny import shape_of

KEPT = "quantised"


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return copytree(tiny_folder, tmp_path / "model")


def load(folder: Path, keep: Path) -> dict[str, Array]:
    """Copies of the weights; mapped arrays would change with their files."""
    packed = load_packed(open_checkpoint(folder), shape_of(folder), INT8, keep)
    return {name: tensor.copy() for name, tensor in packed.items()}


def kept_folder(keep: Path) -> Path:
    [path] = keep.iterdir()
    return path


def kept_files(keep: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in kept_folder(keep).iterdir()}


def test_weights_are_quantised_once(folder: Path, tmp_path: Path) -> None:
    """The second start maps the files of the first and has the same weights."""
    first = load(folder, tmp_path / KEPT)
    made = kept_folder(tmp_path / KEPT).stat().st_ino
    second = load(folder, tmp_path / KEPT)
    assert kept_folder(tmp_path / KEPT).stat().st_ino == made
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_weights_of_another_type_are_not_mapped(folder: Path, tmp_path: Path) -> None:
    """A model that was int8 at the last start is quantised again for int4, and the folder of int8 is deleted."""
    int8, made = load(folder, tmp_path / KEPT), kept_folder(tmp_path / KEPT)
    int4 = load_packed(open_checkpoint(folder), shape_of(folder), INT4, tmp_path / KEPT)
    assert int4["down"].shape != int8["down"].shape
    assert kept_folder(tmp_path / KEPT) != made


def test_the_first_start_tells_how_far_it_is(folder: Path, tmp_path: Path) -> None:
    """While weights are quantised, their number grows to the total; a start that maps them tells nothing."""
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))

    for _ in range(2):
        load_packed(open_checkpoint(folder), shape_of(folder), INT8, tmp_path / KEPT, progress)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (weight_count(shape_of(folder)),) * 2
    assert told.count(told[-1]) < len(told)


@pytest.mark.parametrize("damage", ["truncated", "altered", "lost", "unfinished", "added"])
def test_damaged_weights_are_quantised_again(folder: Path, tmp_path: Path, damage: str) -> None:
    """Truncated, altered and missing files, an unfinished folder and an added file are all detected, and the weights
    are quantised again.
    """
    whole = load(folder, tmp_path / KEPT)
    files = kept_files(tmp_path / KEPT)
    path = kept_folder(tmp_path / KEPT) / "qkv.npy"
    content = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(content[:-1])
    elif damage == "altered":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "added":
        path.with_name("query_norm.npy").write_bytes(content)
    else:
        path.unlink()
    if damage == "unfinished":
        (path.parent / "SHA256SUMS").unlink()
    again = load(folder, tmp_path / KEPT)
    assert again.keys() == whole.keys()
    assert all(np.array_equal(again[name], whole[name]) for name in whole)
    assert kept_files(tmp_path / KEPT) == files


def test_the_next_start_removes_what_a_killed_one_left(folder: Path, tmp_path: Path) -> None:
    """The folder of a process that was killed while it quantised is deleted, also if the weights are there already."""
    for _ in range(2):
        (tmp_path / KEPT / f"{PREFIX}x" / "model-0").mkdir(parents=True)
        load(folder, tmp_path / KEPT)
        assert kept_folder(tmp_path / KEPT).name.startswith("model-")


def test_a_changed_checkpoint_replaces_the_stored_weights(folder: Path, tmp_path: Path) -> None:
    """If a model's files change, its weights are quantised again and the old folder is deleted."""
    before = load(folder, tmp_path / KEPT)
    old = kept_folder(tmp_path / KEPT)
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor * 2 for name, tensor in weights.items()}, folder / "new")
    (folder / "new").replace(folder / "model.safetensors")
    after = load(folder, tmp_path / KEPT)
    assert kept_folder(tmp_path / KEPT) != old
    assert np.array_equal(after["norm"], before["norm"] * 2)


@pytest.mark.parametrize(
    "lost",
    [
        "model.norm.weight",
        "model.layers.1.self_attn.k_proj.weight",
        "model.layers.1.self_attn.k_proj.bias",
        "model.layers.0.input_layernorm.weight",
        "model.embed_tokens.weight",
    ],
)
def test_a_checkpoint_without_a_weight_is_damaged(folder: Path, tmp_path: Path, lost: str) -> None:
    """A checkpoint that lacks a weight of the shape raises ModelDamaged, and nothing is stored."""
    weights = load_file(folder / "model.safetensors")
    del weights[lost]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelDamaged):
        load(folder, tmp_path / KEPT)
    assert not list((tmp_path / KEPT).iterdir())
