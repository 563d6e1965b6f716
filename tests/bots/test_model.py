import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from bots.model import pull
from core.errors import ModelDamaged, ModelMissing
from core.models import MANIFEST, find_model, verify_model
from tests.bots.fake_hub import HubModel, fake_hub
from tests.bots.tiny_model import TINY_FILES

ID = "org/tiny"
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
        folder = pull(ID, data_dir, endpoint=endpoint)
    assert find_model(ID, data_dir) == folder
    verify_model(folder)
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_only_safe_files_are_downloaded(tmp_path: Path) -> None:
    """Only safetensors, JSON and the manifest are stored; pickles, code and the client's metadata are not."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, endpoint=endpoint)
    assert {path.name for path in folder.iterdir()} == {*TINY_FILES, MANIFEST}


def test_a_complete_model_is_not_downloaded_again(tmp_path: Path) -> None:
    """A second pull makes no request."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, endpoint=endpoint)
    assert pull(ID, tmp_path, endpoint=endpoint) == folder


def test_a_damaged_model_is_downloaded_again(tmp_path: Path) -> None:
    """A pull repairs a model with an altered file."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, endpoint=endpoint)
        (folder / "tokenizer.json").write_text("altered")
        pull(ID, tmp_path, endpoint=endpoint)
    verify_model(folder)


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    """Weights that do not match the hub's digest are refused, and the model's folder is removed."""
    other = save({"weight": np.zeros(8, dtype=np.float32)})
    with (
        fake_hub(replace(TINY, served={"model.safetensors": other})) as endpoint,
        pytest.raises(ModelDamaged, match="differs from"),
    ):
        pull(ID, tmp_path, endpoint=endpoint)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_model_without_safetensors_is_refused(tmp_path: Path) -> None:
    """A model without safetensors is not downloaded."""
    files = {name: content for name, content in FILES.items() if not name.endswith(".safetensors")}
    with fake_hub(replace(TINY, files=files)) as endpoint, pytest.raises(ModelMissing, match="no safetensors"):
        pull(ID, tmp_path, endpoint=endpoint)


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    """An id that the hub does not know is reported as unknown."""
    with fake_hub(TINY) as endpoint, pytest.raises(ModelMissing, match=r"^org/other: .* knows no such model"):
        pull("org/other", tmp_path, endpoint=endpoint)


def test_a_gated_model_says_what_to_do(tmp_path: Path) -> None:
    """For a gated model the error names the web page and the command."""
    gated = replace(TINY, complaint="GatedRepo")
    with fake_hub(gated) as endpoint, pytest.raises(ModelMissing, match="hf auth login"):
        pull(ID, tmp_path, endpoint=endpoint)


def test_an_unreachable_hub_is_named(tmp_path: Path) -> None:
    """An unreachable hub is reported in one sentence."""
    with fake_hub(TINY) as endpoint:
        pass
    with pytest.raises(ModelMissing, match="cannot be reached"):
        pull(ID, tmp_path, endpoint=endpoint)


@pytest.mark.parametrize("name", ["tiny", "../tiny", "org/../tiny", "https://example.com/org/tiny", "org/ti ny"])
def test_an_invalid_id_is_refused(tmp_path: Path, name: str) -> None:
    """Only "org/name" is a valid id, so that no path leads out of the folder of models."""
    with pytest.raises(ModelMissing, match="is not a Hugging Face id"):
        pull(name, tmp_path)


def test_too_little_disk_space_is_noticed_before_the_download(tmp_path: Path) -> None:
    """A model larger than the free space is refused with its size."""
    with (
        fake_hub(replace(TINY, sizes={"model.safetensors": 10**18})) as endpoint,
        pytest.raises(ModelMissing, match="MB, which is more than is free"),
    ):
        pull(ID, tmp_path, endpoint=endpoint)
