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
    """A pulled model is found by its id, whole, with a manifest, in a folder that is its owner's alone."""
    data_dir = tmp_path / "data"
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, data_dir, endpoint=endpoint)
    assert find_model(ID, data_dir) == folder
    verify_model(folder)
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_only_what_is_safe_is_fetched(tmp_path: Path) -> None:
    """Weights in safetensors, JSON and the manifest arrive; pickles, code and the client's notes do not."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, endpoint=endpoint)
    assert {path.name for path in folder.iterdir()} == {*TINY_FILES, MANIFEST}


def test_a_whole_model_is_not_fetched_again(tmp_path: Path) -> None:
    """Pulling again asks nobody."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, endpoint=endpoint)
    assert pull(ID, tmp_path, endpoint=endpoint) == folder


def test_a_damaged_model_is_fetched_again(tmp_path: Path) -> None:
    """Pulling mends a model whose file was altered."""
    with fake_hub(TINY) as endpoint:
        folder = pull(ID, tmp_path, endpoint=endpoint)
        (folder / "tokenizer.json").write_text("altered")
        pull(ID, tmp_path, endpoint=endpoint)
    verify_model(folder)


def test_altered_weights_are_noticed(tmp_path: Path) -> None:
    """Weights that differ from the hub's own digest are refused, and nothing is left under the model's name."""
    other = save({"weight": np.zeros(8, dtype=np.float32)})
    with (
        fake_hub(replace(TINY, served={"model.safetensors": other})) as endpoint,
        pytest.raises(ModelDamaged, match="differs from"),
    ):
        pull(ID, tmp_path, endpoint=endpoint)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_model_without_safetensors_is_refused(tmp_path: Path) -> None:
    """A model that comes as a pickle only is not fetched at all."""
    files = {name: content for name, content in FILES.items() if not name.endswith(".safetensors")}
    with fake_hub(replace(TINY, files=files)) as endpoint, pytest.raises(ModelMissing, match="no safetensors"):
        pull(ID, tmp_path, endpoint=endpoint)


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    """An id that the hub does not know is said to be unknown."""
    with fake_hub(TINY) as endpoint, pytest.raises(ModelMissing, match=r"^org/other: .* knows no such model"):
        pull("org/other", tmp_path, endpoint=endpoint)


def test_a_gated_model_says_what_to_do(tmp_path: Path) -> None:
    """A model that asks for consent names the page and the command."""
    gated = replace(TINY, complaint="GatedRepo")
    with fake_hub(gated) as endpoint, pytest.raises(ModelMissing, match="hf auth login"):
        pull(ID, tmp_path, endpoint=endpoint)


def test_no_network_is_said_plainly(tmp_path: Path) -> None:
    """A hub that cannot be reached is a plain sentence."""
    with fake_hub(TINY) as endpoint:
        pass
    with pytest.raises(ModelMissing, match="cannot be reached"):
        pull(ID, tmp_path, endpoint=endpoint)


@pytest.mark.parametrize("name", ["tiny", "../tiny", "org/../tiny", "https://example.com/org/tiny", "org/ti ny"])
def test_what_is_no_id_is_refused(tmp_path: Path, name: str) -> None:
    """Only "org/name" is an id, so that no name leads out of the folder of models."""
    with pytest.raises(ModelMissing, match="is not a Hugging Face id"):
        pull(name, tmp_path)


def test_too_little_room_is_noticed_before_anything_is_fetched(tmp_path: Path) -> None:
    """A model larger than the free space is refused with its size."""
    with (
        fake_hub(replace(TINY, sizes={"model.safetensors": 10**18})) as endpoint,
        pytest.raises(ModelMissing, match="MB, which is more than is free"),
    ):
        pull(ID, tmp_path, endpoint=endpoint)
