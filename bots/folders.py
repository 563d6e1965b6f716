"""The data folder, which only its owner may read: it holds people's messages."""

from pathlib import Path

from core.errors import ConfigError


def private_folder(path: Path) -> Path:
    """Create the folder with mode 700; an existing one keeps its mode. Raises ConfigError if that fails."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError("data_dir", f"{path}: {error.strerror}") from None
    return path
