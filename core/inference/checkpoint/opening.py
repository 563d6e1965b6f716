"""Opens a model in any format that Parley reads."""

from pathlib import Path

from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.checkpoint.folder import open_folder
from core.models import verify_model


def open_checkpoint(path: Path) -> Checkpoint:
    """Verify and open a model. Raises ModelMissing or ModelDamaged."""
    verify_model(path)
    return open_folder(path)
