"""Errors of databases and of the system become those of our tree."""

import errno
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import sqlalchemy as sa

from core.errors import (
    StoreDamaged,
    StoreError,
    StoreFailing,
    StoreFull,
    StoreLocked,
    StoreLost,
    StoreReadOnly,
    StoreUnusable,
)

R = TypeVar("R")

ERRORS: Mapping[str, type[StoreError]] = {
    "SQLITE_FULL": StoreFull,
    "SQLITE_IOERR": StoreFailing,
    "SQLITE_CANTOPEN": StoreFailing,
    "SQLITE_READONLY": StoreReadOnly,
    "SQLITE_BUSY": StoreLocked,
    "SQLITE_LOCKED": StoreLocked,
    "SQLITE_PROTOCOL": StoreFailing,  # a lock of this process was not given back
    "SQLITE_CORRUPT": StoreDamaged,
    "SQLITE_NOTADB": StoreDamaged,
}
"""SQLite's errors by the beginnings of their names."""
SQLSTATES: Mapping[str, type[StoreError]] = {
    "08": StoreLost,
    "25P03": StoreLost,  # this process stood still in a transaction
    "25006": StoreReadOnly,
    "28": StoreUnusable,  # the user, or the password
    "3D": StoreUnusable,  # no such database
    "3F": StoreUnusable,  # no such schema
    "40": StoreLocked,  # a deadlock, again and again
    "42501": StoreUnusable,  # what this user may not do
    "53": StoreFailing,
    "53100": StoreFull,
    "55P03": StoreLocked,
    "57": StoreFailing,  # an operator has stopped this
    "57P01": StoreLost,  # the server stops
    "57P02": StoreLost,  # it has crashed
    "57P03": StoreLost,  # it starts
    "58": StoreFailing,  # its disk
    "XX001": StoreDamaged,
    "XX002": StoreDamaged,
}
"""PostgreSQL's errors by the beginnings of their codes; the longest one counts."""
UNREACHED = {"OperationalError", "InterfaceError"}
"""Names of the driver's errors of a connection; others are about values."""
OS_ERRORS: Mapping[int | None, type[StoreError]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EROFS: StoreReadOnly,
    errno.EIO: StoreFailing,
    errno.EMFILE: StoreFailing,
    errno.ENFILE: StoreFailing,
}
"""The others do not pass by themselves."""


def translated(work: Callable[[], R]) -> R:
    """The result of `work()`, whose database errors become those of our tree."""
    try:
        return work()
    except sa.exc.DBAPIError as error:
        raise store_error(error.orig) from error
    except sqlite3.Error as error:
        raise store_error(error) from error
    except OSError as error:
        kind = OS_ERRORS.get(error.errno, StoreUnusable)
        raise kind(f"{error.filename}: {error.strerror}") from error


def store_error(error: BaseException | None) -> StoreError:
    """The error of our tree for an error of the driver, which does not tell the statement and its values."""
    if hasattr(error, "sqlstate"):
        return _postgresql_error(error)
    name = getattr(error, "sqlite_errorname", "")
    kind = next((kind for start, kind in ERRORS.items() if name.startswith(start)), StoreError)
    return kind(f"{name}: {error}" if name else str(error))


def _postgresql_error(error: Any) -> StoreError:  # noqa: ANN401  the driver need not be installed
    """An error without a code comes from the client: the server was not reached, or the connection has ended."""
    if error.sqlstate is None:
        is_lost = UNREACHED & {kind.__name__ for kind in type(error).__mro__}
        return (StoreLost if is_lost else StoreError)(" ".join(str(error).split()))
    known = (SQLSTATES.get(error.sqlstate[:length]) for length in (5, 2))
    kind = next(filter(None, known), StoreError)
    return kind(f"{error.sqlstate}: {error.diag.message_primary}")  # its details quote what people have written
