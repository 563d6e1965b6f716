"""Where a model is looked for, and what makes it whole. Nothing here needs torch."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import ModelDamaged, ModelMissing
from core.models import EMBEDDED, MANIFEST, find_model, verify_model

Edit = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that is whole, as far as can be told without loading it."""
    made = tmp_path / "model"
    made.mkdir()
    (made / "config.json").write_text('{"model_type": "qwen2"}')
    (made / "tokenizer.json").write_text("{}")
    save_file({"weight": np.arange(100, dtype=np.float32)}, made / "model.safetensors")
    return made


def write_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink(missing_ok=True)
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())]
    (folder / MANIFEST).write_text("".join(lines))


def shard(folder: Path, *names: str) -> None:
    """Splits the weights into shards with an index."""
    (folder / "model.safetensors").unlink()
    for name in names:
        save_file({name: np.zeros(3)}, folder / f"{name}.safetensors")
    index = {"weight_map": {name: f"{name}.safetensors" for name in names}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def cut_shard(folder: Path) -> None:
    shard(folder, "a", "b")
    cut(folder / "b.safetensors", -1)


def empty_index(folder: Path) -> None:
    shard(folder, "a")
    (folder / "model.safetensors.index.json").write_text("{}")


def test_a_folder_is_itself(folder: Path, tmp_path: Path) -> None:
    """An existing folder is taken as it is."""
    assert find_model(str(folder), tmp_path) == folder


def test_a_hub_id_is_where_it_was_pulled_to(tmp_path: Path) -> None:
    """A model of a hub lies in the data folder under its id; one that does not is missing, with the way to get it."""
    with pytest.raises(ModelMissing, match=r"parley model pull Qwen/Qwen2\.5-0\.5B"):
        find_model("Qwen/Qwen2.5-0.5B", tmp_path)
    place = tmp_path / "models" / "Qwen--Qwen2.5-0.5B"
    place.mkdir(parents=True)
    assert find_model("Qwen/Qwen2.5-0.5B", tmp_path) == place


@pytest.mark.parametrize("name", ["/no/such/folder", "nothing", "", "../up", "a/b/c", "-x/y", "org/.."])
def test_other_names_are_missing(tmp_path: Path, name: str) -> None:
    """A name that is no folder and cannot be an id is missing, and never a path outside the data folder."""
    with pytest.raises(ModelMissing, match="no such folder"):
        find_model(name, tmp_path)


def test_a_whole_model_passes(folder: Path) -> None:
    """Whole files pass, with and without a manifest, in one file or in shards."""
    verify_model(folder)
    write_manifest(folder)
    verify_model(folder)
    (folder / MANIFEST).unlink()
    shard(folder, "a", "b")
    verify_model(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_every_part_must_be_there(folder: Path, name: str) -> None:
    """A folder without one of the parts is no model."""
    (folder / name).unlink()
    with pytest.raises(ModelMissing, match=name):
        verify_model(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: cut(folder / "model.safetensors", 0),
        lambda folder: cut(folder / "model.safetensors", 20),
        lambda folder: cut(folder / "model.safetensors", -1),
        lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 500),
        lambda folder: save_file({}, folder / "model.safetensors"),
        lambda folder: (folder / "config.json").write_text("[]"),
        lambda folder: (folder / "config.json").write_text("[" * 100_000),
        lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "config.json").write_text('{"auto_map": {"AutoModel": "evil.Model"}}'),
        lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        cut_shard,
        empty_index,
    ],
)
def test_damage_is_found(folder: Path, damage: Edit) -> None:
    """Truncation, other formats, planted code and half an index are all found before anything is loaded."""
    damage(folder)
    with pytest.raises(ModelDamaged):
        verify_model(folder)


def test_a_missing_shard_is_missing(folder: Path) -> None:
    """Every file that the index names must be there."""
    shard(folder, "a", "b")
    (folder / "b.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"b\.safetensors"):
        verify_model(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_the_manifest_finds_a_single_bit(folder: Path, name: str) -> None:
    """One flipped bit, which the weights' own format does not notice, is found in any listed file."""
    write_manifest(folder)
    flip_a_bit(folder / name)
    with pytest.raises(ModelDamaged, match=MANIFEST):
        verify_model(folder)


def test_only_the_manifest_finds_it_in_the_weights(folder: Path) -> None:
    """Guard off: without a manifest a flipped bit in the weights goes unnoticed."""
    flip_a_bit(folder / "model.safetensors")
    verify_model(folder)


def test_a_manifest_leaves_nothing_out(folder: Path) -> None:
    """A file that would be loaded and is not listed was added by somebody else; a listed one must be there."""
    write_manifest(folder)
    (folder / "chat_template.jinja").write_text("{{ evil }}")
    with pytest.raises(ModelDamaged, match="not listed"):
        verify_model(folder)
    write_manifest(folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelMissing):
        verify_model(folder)


def test_binary_and_relative_lines_are_understood(folder: Path) -> None:
    """Manifests as `sha256sum --binary ./*` writes them are read as well."""
    write_manifest(folder)
    path = folder / MANIFEST
    path.write_text(path.read_text().replace("  ", " *./") + "\n")
    verify_model(folder)


def test_torch_is_not_needed() -> None:
    """Looking for and checking a model does not load torch: the gateway does both."""
    script = "import sys, core.models; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_embedded_model_is_whole(tmp_path: Path) -> None:
    """The model that ships inside the package is found by its name and has not been altered."""
    try:
        folder = find_model(EMBEDDED, tmp_path)
        verify_model(folder)
    except ModelMissing:
        pytest.skip("the embedded model is not part of this checkout")
    assert (folder / MANIFEST).exists()
