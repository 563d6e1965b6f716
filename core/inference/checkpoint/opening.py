"""Opens a model in any format that Parley reads."""

from pathlib import Path

from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.checkpoint.config import check_config
from core.inference.checkpoint.folder import open_folder
from core.inference.checkpoint.gguf_file import open_gguf
from core.models import gguf_file, verify_listed, verify_model


def open_checkpoint(path: Path) -> Checkpoint:
    """Verify and open a model. Raises ModelMissing or ModelDamaged."""
    found = _opened(path)
    check_config(found.config, found.weights, str(found.path))
    return found


def _opened(path: Path) -> Checkpoint:
    if file := gguf_file(path):
        verify_listed(path)
        return open_gguf(file)  # which verifies the header as it reads it
    verify_model(path)
    return open_folder(path)
