import os
from pathlib import Path

import pytest

from bots.folders import private_folder
from core.errors import ConfigError


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    """A data folder is made with mode 700."""
    assert mode(private_folder(tmp_path / "a" / "b")) == 0o700


@pytest.mark.parametrize("content", ["parley.db", "lost+found", ""])
def test_a_folder_of_ours_is_made_private(tmp_path: Path, content: str) -> None:
    """An existing data folder that others can read, or an empty one, is closed to them."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    if content:
        (folder / content).touch()
    assert mode(private_folder(folder)) == 0o700


def test_a_folder_of_other_things_is_refused(tmp_path: Path) -> None:
    """A folder with other content, such as /tmp or a home, is neither used nor changed if others can read it."""
    tmp_path.chmod(0o755)
    (tmp_path / "letter.txt").touch()
    with pytest.raises(ConfigError, match="mode 700"):
        private_folder(tmp_path)
    assert mode(tmp_path) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_readable_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    """A folder of another user that others can read is neither used nor changed."""
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    os.chown(folder, 12345, -1)
    with pytest.raises(ConfigError, match="mode 700"):
        private_folder(folder)
    assert mode(folder) == 0o755
