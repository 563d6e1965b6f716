import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from bots.hubs.hub import Source
from bots.hubs.huggingface import HuggingFace
from bots.model import open_hub, pull
from core.errors import ModelDamaged, ModelMissing
from core.models import MANIFEST, find_model, verify_model
from tests.bots.fake_hub import HubModel, fake_hub
from tests.bots.tiny_gguf import tiny_gguf
from tests.bots.tiny_model import TINY_FILES

ID, GGUF_ID = "org/tiny", "org/tiny-GGUF"
FILES = {
    **TINY_FILES,
    "pytorch_model.bin": b"pickled",
    "modeling_tiny.py": b"print('code')",
    "README.md": b"words",
}
TINY = HubModel(id=ID, files=FILES)


def test_a_pulled_model_can_be_used(tmp_path: Path) -> None:
    """A pulled model is found by its id, complete, with a manifest, in a folder that only its owner can read."""
    data_dir = tmp_path / "data"
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, data_dir, HuggingFace(endpoint))
    assert find_model(ID, data_dir) == folder
    verify_model(folder)
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_only_safe_files_are_downloaded(tmp_path: Path) -> None:
    """Only safetensors, JSON and the manifest are stored; pickles, code and the client's metadata are not."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, HuggingFace(endpoint))
    assert {path.name for path in folder.iterdir()} == {*TINY_FILES, MANIFEST}


def test_a_complete_model_is_not_downloaded_again(tmp_path: Path) -> None:
    """A second pull makes no request."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, HuggingFace(endpoint))
    assert pull(ID, tmp_path, HuggingFace(endpoint)) == folder


def test_a_damaged_model_is_downloaded_again(tmp_path: Path) -> None:
    """A pull repairs a model with an altered file."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, HuggingFace(endpoint))
        (folder / "tokenizer.json").write_text("altered")
        pull(ID, tmp_path, HuggingFace(endpoint))
    verify_model(folder)


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    """Weights that do not match the hub's digest are refused, and the model's folder is removed."""
    other = save({"weight": np.zeros(8, dtype=np.float32)})
    with (
        fake_hub(replace(TINY, served={"model.safetensors": other})) as endpoint,
        pytest.raises(ModelDamaged, match="differs from"),
    ):
        pull(ID, tmp_path, HuggingFace(endpoint))
    assert list((tmp_path / "models").iterdir()) == []


def test_a_model_without_safetensors_is_refused(tmp_path: Path) -> None:
    """A model without safetensors is not downloaded."""
    files = {name: content for name, content in FILES.items() if not name.endswith(".safetensors")}
    with fake_hub(replace(TINY, files=files)) as endpoint, pytest.raises(ModelMissing, match="no safetensors"):
        pull(ID, tmp_path, HuggingFace(endpoint))


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    """An id that the hub does not know is reported as unknown."""
    with fake_hub(TINY) as endpoint, pytest.raises(ModelMissing, match=r"^org/other: .* knows no such model"):
        pull("org/other", tmp_path, HuggingFace(endpoint))


def test_a_gated_model_says_what_to_do(tmp_path: Path) -> None:
    """For a gated model the error names the web page and the command."""
    gated = replace(TINY, complaint="GatedRepo")
    with fake_hub(gated) as endpoint, pytest.raises(ModelMissing, match="hf auth login"):
        pull(ID, tmp_path, HuggingFace(endpoint))


def test_an_unreachable_hub_is_named(tmp_path: Path) -> None:
    """An unreachable hub is reported in one sentence."""
    with fake_hub(TINY) as endpoint:
        pass
    with pytest.raises(ModelMissing, match="cannot be reached"):
        pull(ID, tmp_path, HuggingFace(endpoint))


@pytest.mark.parametrize("name", ["tiny", "../tiny", "org/../tiny", "https://example.com/org/tiny", "org/ti ny"])
def test_an_invalid_id_is_refused(tmp_path: Path, name: str) -> None:
    """Only "org/name" is a valid id, so that no path leads out of the folder of models."""
    with pytest.raises(ModelMissing, match="is not an id"):
        pull(name, tmp_path, HuggingFace(None))


def test_too_little_disk_space_is_noticed_before_the_download(tmp_path: Path) -> None:
    """A model larger than the free space is refused with its size."""
    with (
        fake_hub(replace(TINY, sizes={"model.safetensors": 10**18})) as endpoint,
        pytest.raises(ModelMissing, match="MB, which is more than is free"),
    ):
        pull(ID, tmp_path, HuggingFace(endpoint))


@pytest.fixture
def ggufs(tmp_path: Path) -> HubModel:
    """A model in two GGUF files."""
    files = {name: tiny_gguf(tmp_path, value) for name, value in (("tiny-q4.gguf", 4.0), ("tiny-q8.gguf", 8.0))}
    return HubModel(id=GGUF_ID, files={**files, "config.json": b"{}", "README.md": b"words"})


def test_one_gguf_file_is_pulled(tmp_path: Path, ggufs: HubModel) -> None:
    """`file` pulls one GGUF file, under a manifest, into a folder of its own that the name with the file finds."""
    with fake_hub(ggufs) as endpoint:
        folders = [pull(GGUF_ID, tmp_path, HuggingFace(endpoint), file) for file in ("tiny-q4.gguf", "tiny-q8.gguf")]
    assert [folder.name for folder in folders] == ["org--tiny-GGUF--tiny-q4.gguf", "org--tiny-GGUF--tiny-q8.gguf"]
    assert {path.name for path in folders[0].iterdir()} == {"tiny-q4.gguf", MANIFEST}
    assert find_model(f"{GGUF_ID}/tiny-q4.gguf", tmp_path) == folders[0]
    verify_model(folders[0])


def test_an_altered_gguf_file_is_refused(tmp_path: Path, ggufs: HubModel) -> None:
    """A GGUF file that does not match the hub's digest is refused."""
    altered = replace(ggufs, served={"tiny-q4.gguf": ggufs.files["tiny-q8.gguf"]})
    with fake_hub(altered) as endpoint, pytest.raises(ModelDamaged, match="differs from"):
        pull(GGUF_ID, tmp_path, HuggingFace(endpoint), "tiny-q4.gguf")


@pytest.mark.parametrize("file", ["", "tiny-q5.gguf"])
def test_the_gguf_files_to_choose_from_are_named(tmp_path: Path, ggufs: HubModel, file: str) -> None:
    """Without safetensors, or if the file is unknown, the error names the GGUF files of the model."""
    choice = "with --file: tiny-q4.gguf, tiny-q8.gguf"
    with fake_hub(ggufs) as endpoint, pytest.raises(ModelMissing, match=choice):
        pull(GGUF_ID, tmp_path, HuggingFace(endpoint), file)


@pytest.mark.parametrize("file", ["*.gguf", "../tiny.gguf", "q4/tiny.gguf", "tiny.bin", ".gguf", "model.safetensors"])
def test_an_invalid_file_is_refused(tmp_path: Path, file: str) -> None:
    """Only the name of a GGUF file is valid, so that no path leads out of the folder of models."""
    with pytest.raises(ModelMissing, match="is not the name of a GGUF file"):
        pull(GGUF_ID, tmp_path, HuggingFace(None), file)


@pytest.mark.parametrize("endpoint", ["hf-mirror.com", "ftp://hf-mirror.com", "https://", "https:///path"])
def test_an_invalid_endpoint_is_refused(endpoint: str) -> None:
    """A mirror is an address with http or https and a host."""
    with pytest.raises(ModelMissing, match="is not an address"):
        open_hub(Source.HUGGING_FACE, endpoint)
