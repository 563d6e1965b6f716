"""Runs the store's verbs: on one thread, in one transaction each, with errors from our tree."""

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, asynccontextmanager, closing, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa

from core.errors import (
    StoreDamaged,
    StoreError,
    StoreFailing,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreUnusable,
)
from core.store import removal, tombstones
from core.store.checking import CHECK, judge
from core.store.files import OpenFile, open_privately
from core.store.migrate import migrate
from core.store.old_copies import forget_in_copies

P = ParamSpec("P")
R = TypeVar("R")
Timed: TypeAlias = Callable[[], AbstractContextManager[object]]
"""Makes a context that is entered around a transaction that may write, on the store's thread."""

BUSY_TIMEOUT_MS = 5_000
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL loses acknowledged commits when the power fails
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # /forget overwrites what it deletes
)
ERRORS: dict[str, type[StoreError]] = {
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
OS_ERRORS: dict[int | None, type[StoreError]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EROFS: StoreReadOnly,
    errno.EIO: StoreFailing,
    errno.EMFILE: StoreFailing,
    errno.ENFILE: StoreFailing,
}
"""The others do not pass by themselves."""
READS = "reads"
"""Execution option of transactions that only read: they need no lock, so that a full disk does not stop them."""


class Store(Protocol):
    """Runs verbs: functions of an open transaction that is committed when they return and rolled back if they raise."""

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `verb(connection, *args, **kwargs)` and return its result after the commit. Raises StoreError."""

    async def read(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `run`, for a verb that writes nothing. It works on a full or read-only disk too."""

    async def scrub(self) -> bool:
        """Have deleted text in no file: truncate the write-ahead log, and forget people in the copies beside the file.
        True if it is done.

        If another process reads the database meanwhile, this is done after a later verb, once it has ended.
        """


class Database:
    """A `Store` in an SQL database.

    Verbs run on the store's own thread. Cancelling the caller does not interrupt one, so no transaction stays open.
    """

    def __init__(self, engine: sa.Engine, thread: ThreadPoolExecutor, file: OpenFile | None, timed: Timed) -> None:
        self._engine = engine
        self._thread = thread
        self._file = file
        self._timed = timed
        self._is_scrubbed = False  # a process that was killed may have left words in the log

    @property
    def path(self) -> Path | None:
        """The database's file; None if it is in memory."""
        return self._file.path if self._file else None

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def transaction() -> R:
            with self._engine.connect() as connection:
                with self._timed():
                    result = self._transact(connection, lambda: verb(connection, *args, **kwargs))
                self._is_scrubbed = not removal.has_left_words(connection) and self._is_scrubbed
            if not self._is_scrubbed:
                self._truncate()
            return result

        return await self.call(transaction)

    async def read(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def transaction() -> R:
            with self._engine.connect().execution_options(**{READS: True}) as connection:
                return self._transact(connection, lambda: verb(connection, *args, **kwargs))

        return await self.call(transaction)

    async def scrub(self) -> bool:
        await self.call(self._truncate)
        if self._file:
            await self.call(partial(forget_in_copies, self._file.path, *await self.read(tombstones.buried)))
        return self._is_scrubbed

    def _transact(self, connection: sa.Connection, work: Callable[[], R]) -> R:
        """Do some work in a transaction; the file is the right one before it and after its commit."""
        with connection.begin():
            self._check_file(connection)
            result = work()
        self._check_file(connection)
        return result

    def _check_file(self, connection: sa.Connection) -> None:
        if self._file:
            self._file.check(connection)

    def _truncate(self) -> None:
        """Truncate the log unless somebody reads it, without waiting for them.

        The pragma's row is read: an open statement would keep the next transaction from committing. If the disk is
        full or fails, the log is truncated after a later transaction too.
        """
        with closing(self._engine.raw_connection()) as connection:
            connection.execute("PRAGMA busy_timeout = 0").fetchall()
            try:
                ((is_left, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.DatabaseError:
                is_left = True
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}").fetchall()
        self._is_scrubbed = not is_left

    async def call(self, work: Callable[[], R]) -> R:
        """Run `work()` on the store's thread. Raises StoreError for database errors."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._call, work)

    def _call(self, work: Callable[[], R]) -> R:
        """After an error of the disk the file is opened anew: SQLite may have opened it for reading only."""
        try:
            return translated(work)
        except (StoreFailing, StoreReadOnly, StoreDamaged):
            if self._file:
                self._engine.dispose()
            raise


@asynccontextmanager
async def open_store(url: str, timed: Timed = nullcontext) -> AsyncIterator[Database]:
    """Open the store at an SQLAlchemy URL, check it, and migrate it to the current schema. Raises StoreError.

    Its files are made readable by their owner alone.
    """
    engine = make_engine(url)
    path = Path(engine.url.database) if engine.url.database else None
    with ThreadPoolExecutor(1, thread_name_prefix="store") as thread:
        try:
            file = await asyncio.get_running_loop().run_in_executor(thread, translated, lambda: prepare(engine, path))
            yield Database(engine, thread, file, timed)
        finally:
            thread.submit(engine.dispose).result()


def make_engine(url: str) -> sa.Engine:
    """An engine whose transactions take the write lock at their beginning, and whose commits survive a power cut."""
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


def prepare(engine: sa.Engine, path: Path | None) -> OpenFile | None:
    """Make the file at the path private, check the database, and migrate it."""
    file = open_privately(path) if path else None
    with engine.begin() as connection:
        judge(connection.exec_driver_sql(CHECK).scalar_one())
    with engine.begin() as connection:
        migrate(connection, path=path)
    return file


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
    name = getattr(error, "sqlite_errorname", "")
    kind = next((kind for start, kind in ERRORS.items() if name.startswith(start)), StoreError)
    return kind(f"{name}: {error}" if name else str(error))


def _configure(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
    connection.isolation_level = None  # the driver would begin deferred transactions; _begin begins immediate ones
    for pragma in PRAGMAS:
        connection.execute(pragma).fetchall()  # to its end: some errors come after the row


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(READS) else "BEGIN IMMEDIATE")
