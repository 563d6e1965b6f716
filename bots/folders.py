"""The data folder, which only its owner may read: it holds people's messages."""

import os
from pathlib import Path

from core.errors import ConfigError
from core.store.files import OTHERS

OURS = ("parley.db", "calibration", "quantised", "kernels", "knowledge.npz")
"""Names by which a folder is known to be ours alone, so that its mode may be changed."""


def private_folder(path: Path) -> Path:
    """Create the folder with mode 700, or take away what others may do with one of ours.

    Raises ConfigError if that fails, and if others can read a folder that may not be ours alone.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _close_to_others(path)
    except OSError as error:
        raise ConfigError("data_dir", f"{path}: {error.strerror}") from None
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigError("data_dir", f"{path} belongs to another user, or is not writable")
    return path


def _close_to_others(path: Path) -> None:
    found = path.stat()
    if found.st_mode & OTHERS == 0:
        return
    names = {entry.name for entry in path.iterdir()} - {"lost+found"}
    if found.st_uid != os.geteuid() or (names and names.isdisjoint(OURS)):
        raise ConfigError("data_dir", f"{path}: others can read it; give it mode 700, or name a folder of its own")
    path.chmod(0o700)
