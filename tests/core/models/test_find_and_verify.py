"""Finding and verifying a model's files, without torch."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import ModelDamaged, ModelMissing
from core.models import EMBEDDED, MANIFEST, find_model, gguf_file, verify_model
from tests.bots.tiny_gguf import tiny_gguf

Edit = Callable[[Path], object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model whose files pass verification; it cannot be loaded."""
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
    """Split the weights into shards with an index."""
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


def test_a_folder_is_returned_unchanged(folder: Path, tmp_path: Path) -> None:
    """The path of an existing folder is returned unchanged."""
    assert find_model(str(folder), tmp_path) == folder


def test_a_hub_id_names_a_pulled_folder(tmp_path: Path) -> None:
    """A hub id names a folder in the data folder; if it is missing, the error says how to pull it."""
    with pytest.raises(ModelMissing, match=r"parley model pull Qwen/Qwen2\.5-0\.5B"):
        find_model("Qwen/Qwen2.5-0.5B", tmp_path)
    place = tmp_path / "models" / "Qwen--Qwen2.5-0.5B"
    place.mkdir(parents=True)
    assert find_model("Qwen/Qwen2.5-0.5B", tmp_path) == place


def test_a_gguf_file_is_returned_unchanged(tmp_path: Path) -> None:
    """The path of an existing GGUF file is returned unchanged; another file is no model."""
    file = tmp_path / "model.gguf"
    file.write_bytes(tiny_gguf(tmp_path))
    assert find_model(str(file), tmp_path) == file
    file.rename(tmp_path / "model.bin")
    with pytest.raises(ModelMissing, match="no such folder or GGUF file"):
        find_model(str(tmp_path / "model.bin"), tmp_path)


def test_a_gguf_file_of_a_hub_names_a_pulled_folder(tmp_path: Path) -> None:
    """The id and name of a GGUF file name a folder of its own; if it is missing, the error says how to pull it."""
    with pytest.raises(ModelMissing, match=r"parley model pull org/name --file q4\.gguf"):
        find_model("org/name/q4.gguf", tmp_path)
    place = tmp_path / "models" / "org--name--q4.gguf"
    place.mkdir(parents=True)
    assert find_model("org/name/q4.gguf", tmp_path) == place


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "a/b/c/d.gguf", "../a/b.gguf", "nothing", "", "../up", "a/b/c", "-x/y", "org/.."]
)
def test_other_names_are_missing(tmp_path: Path, name: str) -> None:
    """A name that is neither a folder nor an id is missing, and never becomes a path outside the data folder."""
    with pytest.raises(ModelMissing, match="no such folder"):
        find_model(name, tmp_path)


def test_an_intact_model_passes(folder: Path) -> None:
    """Intact files pass with and without a manifest, in one file or in shards."""
    verify_model(folder)
    write_manifest(folder)
    verify_model(folder)
    (folder / MANIFEST).unlink()
    shard(folder, "a", "b")
    verify_model(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_every_required_file_must_exist(folder: Path, name: str) -> None:
    """A folder without one of the required files is incomplete."""
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
    """Truncation, other formats, planted code and an incomplete index are found before loading."""
    damage(folder)
    with pytest.raises(ModelDamaged):
        verify_model(folder)


def test_a_missing_shard_is_missing(folder: Path) -> None:
    """Every shard in the index must exist."""
    shard(folder, "a", "b")
    (folder / "b.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"b\.safetensors"):
        verify_model(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_the_manifest_finds_a_single_bit(folder: Path, name: str) -> None:
    """The manifest finds one flipped bit in any listed file."""
    write_manifest(folder)
    flip_a_bit(folder / name)
    with pytest.raises(ModelDamaged, match=MANIFEST):
        verify_model(folder)


def test_without_a_manifest_a_flipped_bit_is_not_found(folder: Path) -> None:
    """Without a manifest a flipped bit in the weights is not found."""
    flip_a_bit(folder / "model.safetensors")
    verify_model(folder)


def test_a_manifest_lists_all_files(folder: Path) -> None:
    """A loadable file that is not listed is refused, and so is a missing listed one."""
    write_manifest(folder)
    (folder / "chat_template.jinja").write_text("{{ evil }}")
    with pytest.raises(ModelDamaged, match="not listed"):
        verify_model(folder)
    write_manifest(folder)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ModelMissing):
        verify_model(folder)


def test_sha256sum_formats_are_accepted(folder: Path) -> None:
    """Manifests in the format of `sha256sum --binary ./*` are accepted."""
    write_manifest(folder)
    path = folder / MANIFEST
    path.write_text(path.read_text().replace("  ", " *./") + "\n")
    verify_model(folder)


def test_torch_is_not_needed() -> None:
    """Finding and verifying a model does not import torch, because the gateway does both."""
    script = "import sys, core.models; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_embedded_model_is_intact(tmp_path: Path) -> None:
    """The embedded model is found by its name and matches its manifest."""
    try:
        folder = find_model(EMBEDDED, tmp_path)
        verify_model(folder)
    except ModelMissing:
        pytest.skip("the embedded model is not part of this checkout")
    assert (folder / MANIFEST).exists()


@pytest.fixture
def gguf_folder(tmp_path: Path) -> Path:
    """A pulled folder: one GGUF file and its manifest."""
    made = tmp_path / "org--name--q4.gguf"
    made.mkdir()
    (made / "q4.gguf").write_bytes(tiny_gguf(tmp_path))
    write_manifest(made)
    return made


def test_an_intact_gguf_file_passes(gguf_folder: Path) -> None:
    """A whole GGUF file passes alone and in its folder, with a manifest and without."""
    verify_model(gguf_folder)
    verify_model(gguf_folder / "q4.gguf")
    (gguf_folder / MANIFEST).unlink()
    verify_model(gguf_folder)


@pytest.mark.parametrize("alone", [True, False])
def test_a_truncated_gguf_file_is_damaged(gguf_folder: Path, *, alone: bool) -> None:
    """A GGUF file whose last weights are missing is found without a manifest."""
    (gguf_folder / MANIFEST).unlink()
    cut(gguf_folder / "q4.gguf", -32)
    with pytest.raises(ModelDamaged, match="ends beyond the file"):
        verify_model(gguf_folder / "q4.gguf" if alone else gguf_folder)


def test_the_manifest_finds_a_single_bit_of_a_gguf_file(gguf_folder: Path) -> None:
    """The manifest of a pulled folder finds one flipped bit in its GGUF file."""
    flip_a_bit(gguf_folder / "q4.gguf")
    with pytest.raises(ModelDamaged, match=MANIFEST):
        verify_model(gguf_folder)


@pytest.mark.parametrize("alone", [True, False])
def test_a_gguf_file_must_be_listed(gguf_folder: Path, *, alone: bool) -> None:
    """A GGUF file that the manifest does not list is refused, even if it is the only one."""
    (gguf_folder / "q4.gguf").rename(gguf_folder / "q5.gguf")
    with pytest.raises(ModelDamaged, match="not listed"):
        verify_model(gguf_folder / "q5.gguf" if alone else gguf_folder)


def test_a_gguf_file_alone_is_compared_with_the_manifest_beside_it(gguf_folder: Path, tmp_path: Path) -> None:
    """One flipped bit of a file that is given directly is found; other listed files may be altered or missing."""
    (gguf_folder / "q5.gguf").write_bytes(tiny_gguf(tmp_path))
    (gguf_folder / "q8.gguf").write_bytes(tiny_gguf(tmp_path))
    write_manifest(gguf_folder)
    flip_a_bit(gguf_folder / "q5.gguf")
    (gguf_folder / "q8.gguf").unlink()
    verify_model(gguf_folder / "q4.gguf")
    with pytest.raises(ModelDamaged, match="differs from"):
        verify_model(gguf_folder / "q5.gguf")


def test_several_gguf_files_are_ambiguous(gguf_folder: Path, tmp_path: Path) -> None:
    """Of a folder with several GGUF files, one has to be named."""
    (gguf_folder / MANIFEST).unlink()
    (gguf_folder / "q5.gguf").write_bytes(tiny_gguf(tmp_path))
    with pytest.raises(ModelDamaged, match="name one of them"):
        verify_model(gguf_folder)
    verify_model(gguf_folder / "q5.gguf")


def test_safetensors_come_before_gguf(folder: Path, tmp_path: Path) -> None:
    """A GGUF file in a folder with safetensors is not the model."""
    (folder / "other.gguf").write_bytes(tiny_gguf(tmp_path))
    assert gguf_file(folder) is None
    verify_model(folder)


@pytest.mark.parametrize("name", ["../other/a.safetensors", "sub/a.safetensors", "/tmp/a.safetensors", "a.bin", ""])
def test_an_index_names_files_of_its_folder_only(folder: Path, name: str) -> None:
    """Weights outside the folder are not opened, though they exist: no manifest lists them."""
    for place in (folder.parent / "other", folder / "sub"):
        place.mkdir()
        save_file({"a": np.zeros(3)}, place / "a.safetensors")
    shard(folder, "a")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelDamaged, match="not in its folder"):
        verify_model(folder)


def test_every_file_that_is_opened_must_be_listed(folder: Path) -> None:
    """With a manifest, a file that it does not list is not opened, the index of shards included."""
    shard(folder, "a")
    write_manifest(folder)
    content = (folder / MANIFEST).read_text()
    opened = ["config.json", "tokenizer.json", "a.safetensors", "model.safetensors.index.json"]
    for name in opened:
        (folder / MANIFEST).write_text("".join(line for line in content.splitlines(keepends=True) if name not in line))
        with pytest.raises(ModelDamaged, match="not listed"):
            verify_model(folder)
    (folder / MANIFEST).write_text(content)
    for name in ("generation_config.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_text("{}")
        with pytest.raises(ModelDamaged, match="not listed"):
            verify_model(folder)
        (folder / name).unlink()


def test_a_manifest_lists_plain_files(folder: Path) -> None:
    """A manifest that lists a path or a pipe is refused; reading it could take for ever."""
    for name in ("/dev/zero", "../model/config.json", "pipe"):
        (folder / MANIFEST).unlink(missing_ok=True)
        write_manifest(folder)
        if name == "pipe":
            os.mkfifo(folder / name)
        with (folder / MANIFEST).open("a") as manifest:
            manifest.write(f"{'0' * 64}  {name}\n")
        with pytest.raises(ModelDamaged, match=r"not a file|not in its folder"):
            verify_model(folder)


def test_a_pipe_in_place_of_a_file_is_refused(folder: Path) -> None:
    """A pipe named as a file of the model is refused at once, instead of being read for ever."""
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(ModelDamaged, match="not a file"):
        verify_model(folder)


def test_a_file_beside_the_weights_has_a_size_limit(folder: Path) -> None:
    """A configuration that is larger than any model's is refused unread."""
    with (folder / "config.json").open("r+b") as file:
        file.truncate(1 << 30)
    with pytest.raises(ModelDamaged, match="larger than"):
        verify_model(folder)
