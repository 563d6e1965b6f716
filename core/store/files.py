"""The files of a database: readable by their owner alone, and still the ones that were opened."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa

from core.errors import StoreExposed, StoreReplaced

SIDES = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite keeps beside a database."""
PRIVATE = 0o600
OTHERS = stat.S_IRWXG | stat.S_IRWXO
Identity: TypeAlias = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """A database's file, and its identity when it was opened."""

    path: Path
    opened: Identity | None

    def check(self, connection: sa.Connection) -> None:
        """Raises StoreReplaced if the file or its write-ahead log is gone, or another one is in its place.

        SQLite would go on writing to the removed file, and every commit would be lost. The connection is in a
        transaction, so there is a log.
        """
        wal = self.path.with_name(f"{self.path.name}-wal")
        log = connection.info.setdefault("wal", _identity(wal))  # each connection opens the log once
        if self.opened is None or log is None or _identity(self.path) != self.opened or _identity(wal) != log:
            raise StoreReplaced(str(self.path))


def open_privately(path: Path) -> OpenFile:
    """Create the file if it is missing, and take away what others may do with it. Raises StoreExposed, OSError."""
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, PRIVATE))
    for file in (path, *(path.with_name(path.name + side) for side in SIDES)):
        make_private(file)
    return OpenFile(path=path, opened=_identity(path))


def make_private(path: Path) -> None:
    """Take away what others may do with a file of ours. Raises StoreExposed if it is not ours."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return
    if found.st_mode & OTHERS == 0:
        return
    if found.st_uid != os.geteuid():
        raise StoreExposed(str(path))
    path.chmod(stat.S_IMODE(found.st_mode) & ~OTHERS)


def sync(path: Path) -> None:
    """Have a file or a folder on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Delete a database file, and what SQLite keeps beside it."""
    for side in ("", *SIDES):
        path.with_name(path.name + side).unlink(missing_ok=True)


def _identity(path: Path) -> Identity | None:
    """Device and inode; None if there is no file. Raises OSError if that cannot be told."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
