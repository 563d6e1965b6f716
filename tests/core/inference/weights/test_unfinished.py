"""Folders that are being written: deleted once their process is dead, and never before."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.inference.weights.unfinished import PREFIX, remove_leftovers, unfinished

WRITES = """
import sys
from pathlib import Path
from core.inference.weights.unfinished import unfinished
with unfinished(Path(sys.argv[1])) as folder:
    (folder / "weights.npy").write_bytes(bytes(1000))
    print(folder, flush=True)
    sys.stdin.read()
"""


@contextmanager
def writing(parent: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another process that writes in a folder of its own until its standard input is closed."""
    command = (sys.executable, "-c", WRITES, str(parent))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process, Path(process.stdout.readline().strip())


def test_a_killed_process_leaves_a_folder_that_is_deleted_later(tmp_path: Path) -> None:
    """The folder of a process that writes is kept; after a `kill -9` it is deleted."""
    with writing(tmp_path) as (process, folder):
        assert remove_leftovers(tmp_path) == []
        assert (folder / "weights.npy").exists()
        process.kill()
        process.wait()
        assert folder.exists()
        assert remove_leftovers(tmp_path) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_deleted_when_its_process_ends_in_order(tmp_path: Path) -> None:
    """Nothing remains of a process that ends by itself."""
    with writing(tmp_path) as (process, folder):
        process.communicate("")
        assert not folder.exists()


def test_only_our_own_folders_are_deleted(tmp_path: Path) -> None:
    """Files, links and folders of other names are kept."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "precious").touch()
    (tmp_path / f"{PREFIX}link").symlink_to(target)
    (tmp_path / f"{PREFIX}file").touch()
    with unfinished(tmp_path) as folder:
        assert remove_leftovers(tmp_path) == []
        assert folder.exists()
    assert {path.name for path in tmp_path.iterdir()} == {"elsewhere", f"{PREFIX}link", f"{PREFIX}file"}
    assert (target / "precious").exists()
