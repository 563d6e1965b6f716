"""The data folder, which only its owner may read: it holds people's messages."""

import os
from pathlib import Path

from core.errors import ConfigError


def private_folder(path: Path) -> Path:
    """Create the folder with mode 700; an existing one keeps its mode. Raises ConfigError if it cannot be used."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError("data_dir", f"{path}: {error.strerror}") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError("data_dir", f"{path} belongs to another user, or is not writable")
    return path
