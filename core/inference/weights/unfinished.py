"""A folder that is being written, and what killed processes have left of theirs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final

PREFIX: Final = "unfinished-"


@contextmanager
def unfinished(parent: Path) -> Iterator[Path]:
    """A new folder in `parent`, which is deleted on exit.

    Its lock tells other processes that it is in use. The kernel frees the lock when the process ends, however it ends.
    """
    with ExitStack() as stack:
        with _locked(parent):  # so that nobody finds the folder before it has its lock
            folder = Path(mkdtemp(prefix=PREFIX, dir=parent))
            stack.callback(rmtree, folder, ignore_errors=True)
            stack.enter_context(_locked(folder))
        yield folder


def remove_leftovers(parent: Path) -> list[Path]:
    """Delete the unfinished folders that no process writes any more, and return them."""
    with _locked(parent) as is_locked:
        return [folder for folder in parent.glob(f"{PREFIX}*") if is_locked and _remove_unused(folder)]


def _remove_unused(folder: Path) -> bool:
    try:
        with _locked(folder, fcntl.LOCK_NB) as is_unused:
            if is_unused:
                rmtree(folder)
            return is_unused
    except OSError:  # a link, a file, or another user's folder
        return False


@contextmanager
def _locked(folder: Path, how: int = 0) -> Iterator[bool]:
    """Hold the lock of a folder. False if it cannot be had: some network file systems have no locks of folders.

    With LOCK_NB, it is also False if another process holds the lock.
    """
    is_locked = False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | how)
            is_locked = True
        yield is_locked
    finally:
        os.close(descriptor)
