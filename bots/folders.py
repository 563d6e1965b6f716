"""The data folder, which holds people's words and is nobody else's business."""

from pathlib import Path

from core.errors import ConfigError


def private_folder(path: Path) -> Path:
    """The folder, made if need be, for its owner's eyes only. An existing one keeps its mode."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError("data_dir", f"{path}: {error.strerror}") from None
    return path
