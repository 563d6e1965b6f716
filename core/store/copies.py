"""Copies of a database file, made while it is in use, and those that lie beside it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from core.store.checking import CHECK, judge
from core.store.files import PRIVATE, sync

BEFORE_MIGRATION = "before"
BEFORE_RESTORE = "replaced"


def copy(source: Path, target: Path) -> None:
    """Make `target` a copy of the database as it is at one moment, whoever writes to it meanwhile.

    It is one file without a write-ahead log, readable by its owner alone, checked, and on the disk before it has its
    name. Raises StoreError, OSError, sqlite3.Error.
    """
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    with new_file(partial):
        with closing(_read(source)) as reading, closing(sqlite3.connect(partial, isolation_level=None)) as writing:
            reading.backup(writing)  # in one step: in several it would begin anew after each write of another process
        settle(partial)
        partial.replace(target)
    sync(target.parent)


def settle(file: Path) -> None:
    """Have the whole of a database that nobody uses in its one file, checked and on the disk, before it is renamed.

    Closing it does not say so if its log could not be copied into it. Raises StoreError, OSError, sqlite3.Error.
    """
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").fetchall()
        judge(*connection.execute(CHECK).fetchone())
    sync(file)


@contextmanager
def new_file(path: Path) -> Iterator[None]:
    """A new file at the path, which its owner alone may read. It is removed if the body fails.

    Raises FileExistsError if there is one already, OSError.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def beside(path: Path, why: str, which: str) -> Path:
    """The path of a copy that is kept beside a database: "parley.db.before-0011"."""
    return path.with_name(f"{path.name}.{why}-{which}")


def kept_beside(path: Path) -> list[Path]:
    """The copies beside a database, finished or not."""
    found = path.parent.glob(f"{_literal(path.name)}.*")
    reasons = tuple(f"{path.name}.{why}-" for why in (BEFORE_MIGRATION, BEFORE_RESTORE))
    return sorted(copy for copy in found if copy.name.startswith(reasons))


def _literal(name: str) -> str:
    return "".join(f"[{character}]" if character in "*?[" else character for character in name)


def _read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
