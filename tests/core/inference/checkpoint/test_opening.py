"""Pulled GGUF files: found by the name on the hub, verified by their manifest."""

from pathlib import Path

import pytest

from core.errors import ModelDamaged
from core.inference.checkpoint.opening import open_checkpoint
from core.inference.loader import load_model
from core.models import pulled_folder, write_manifest
from tests.core.inference.checkpoint.gguf_writer import write_gguf
from tests.core.inference.options import load_options

NAME = "org/tiny-GGUF/tiny.gguf"


@pytest.fixture
def pulled(tiny_folder: Path, tmp_path: Path) -> Path:
    """The folder of a pulled file, in the data folder `tmp_path`."""
    folder = pulled_folder(NAME, tmp_path)
    folder.mkdir(parents=True)
    write_gguf(tiny_folder, folder / "tiny.gguf")
    write_manifest(folder)
    return folder


def test_a_pulled_file_is_loaded(pulled: Path, tmp_path: Path) -> None:
    """A pulled GGUF file is loaded by its name on the hub, and reported by the file's name."""
    assert pulled.exists()
    assert load_model(NAME, tmp_path, load_options()).name == "tiny.gguf"


@pytest.mark.parametrize("alone", [True, False])
def test_an_altered_file_is_not_opened(pulled: Path, *, alone: bool) -> None:
    """One flipped bit in the weights of a pulled file raises ModelDamaged before anything is read from it, also if the
    file is given and not its folder.
    """
    file = pulled / "tiny.gguf"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelDamaged, match="differs from SHA256SUMS"):
        open_checkpoint(file if alone else pulled)
