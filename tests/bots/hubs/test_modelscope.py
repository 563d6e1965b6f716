"""Downloads from ModelScope."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from bots.hubs.modelscope import ModelScope
from bots.model import pull
from core.errors import ModelDamaged, ModelMissing
from core.models import MANIFEST, find_model, verify_model
from tests.bots.fake_hub import HubModel
from tests.bots.fake_modelscope import fake_modelscope
from tests.bots.tiny_model import TINY_FILES

ID = "org/tiny"
TINY = HubModel(id=ID, files={**TINY_FILES, "modeling_tiny.py": b"print('code')", "images/a.json": b"{}"})


def test_a_model_of_modelscope_can_be_used(tmp_path: Path) -> None:
    """A model pulled from ModelScope is found by its id, complete, with a manifest, and without code."""
    with fake_modelscope(TINY) as (endpoint, _):
        folder = pull(ID, tmp_path, ModelScope(endpoint))
    assert find_model(ID, tmp_path) == folder
    verify_model(folder)
    assert {path.name for path in folder.iterdir()} == {*TINY_FILES, MANIFEST}


def test_a_download_is_continued(tmp_path: Path) -> None:
    """The rest of a file that an earlier attempt began is requested, and files that it finished are not."""
    begun = tmp_path / "models" / ".org--tiny.part"
    begun.mkdir(parents=True)
    (begun / "config.json").write_bytes(TINY.files["config.json"])
    (begun / "model.safetensors.part").write_bytes(TINY.files["model.safetensors"][:10])
    with fake_modelscope(TINY) as (endpoint, requests):
        verify_model(pull(ID, tmp_path, ModelScope(endpoint)))
    ranges = {request.target.rpartition("=")[2]: request.headers.get("range") for request in requests[1:]}
    assert ranges == {"model.safetensors": "bytes=10-", "tokenizer.json": None}


def test_altered_weights_are_refused(tmp_path: Path) -> None:
    """Weights that do not match ModelScope's digest are refused, and the model's folder is removed."""
    other = save({"weight": np.zeros(8, dtype=np.float32)})
    altered = replace(TINY, served={"model.safetensors": other})
    with fake_modelscope(altered) as (endpoint, _), pytest.raises(ModelDamaged, match="differs from"):
        pull(ID, tmp_path, ModelScope(endpoint))
    assert list((tmp_path / "models").iterdir()) == []


def test_an_unknown_model_is_named(tmp_path: Path) -> None:
    """An id that ModelScope does not know is reported as unknown."""
    with fake_modelscope(TINY) as (endpoint, _), pytest.raises(ModelMissing, match=r"^org/other: .* no such model"):
        pull("org/other", tmp_path, ModelScope(endpoint))


def test_an_unreachable_hub_is_named(tmp_path: Path) -> None:
    """An unreachable ModelScope is reported in one sentence."""
    with fake_modelscope(TINY) as (endpoint, _):
        pass
    with pytest.raises(ModelMissing, match="ModelScope cannot be reached"):
        pull(ID, tmp_path, ModelScope(endpoint))


def test_an_answer_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A server that is not ModelScope is reported in one sentence."""
    with (
        fake_modelscope(replace(TINY, complaint="maintenance")) as (endpoint, _),
        pytest.raises(ModelMissing, match="did not answer with a list of files"),
    ):
        pull(ID, tmp_path, ModelScope(endpoint))
