"""Runs the store's verbs: on one thread, in one transaction each, with errors from our tree."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa

from core.errors import StoreDamaged, StoreError, StoreFull, StoreLocked
from core.store.migrate import migrate

P = ParamSpec("P")
R = TypeVar("R")

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
    "SQLITE_IOERR_WRITE": StoreFull,
    "SQLITE_BUSY": StoreLocked,
    "SQLITE_LOCKED": StoreLocked,
    "SQLITE_CORRUPT": StoreDamaged,
    "SQLITE_NOTADB": StoreDamaged,
}


class Store(Protocol):
    """Runs verbs: functions of an open transaction that is committed when they return and rolled back if they raise."""

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `verb(connection, *args, **kwargs)` and return its result after the commit. Raises StoreError."""

    async def scrub(self) -> None:
        """Checkpoint and truncate the write-ahead log, so that deleted text is in no file.

        If another process reads the database meanwhile, this is done after a later verb, once it has ended.
        """


class Database:
    """A `Store` in an SQL database.

    Verbs run on the store's own thread. Cancelling the caller does not interrupt one, so no transaction stays open.
    """

    def __init__(self, engine: sa.Engine, thread: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._thread = thread
        self._is_scrubbed = True

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def transaction() -> R:
            with self._engine.begin() as connection:
                result = verb(connection, *args, **kwargs)
            if not self._is_scrubbed:
                self._truncate()
            return result

        return await self.call(transaction)

    async def scrub(self) -> None:
        await self.call(self._truncate)

    def _truncate(self) -> None:
        """Truncate the log unless somebody reads it, without waiting for them.

        The pragma's row is read: an open statement would keep the next transaction from committing.
        """
        with closing(self._engine.raw_connection()) as connection:
            connection.execute("PRAGMA busy_timeout = 0").fetchall()
            ((is_busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}").fetchall()
        self._is_scrubbed = not is_busy

    async def call(self, work: Callable[[], R]) -> R:
        """Run `work()` on the store's thread. Raises StoreError for database errors."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sa.exc.DBAPIError as error:
            raise store_error(error) from error


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Database]:
    """Open the store at an SQLAlchemy URL, check it, and migrate it to the current schema. Raises StoreError."""
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    with ThreadPoolExecutor(1, thread_name_prefix="store") as thread:
        store = Database(engine, thread)
        try:
            await store.run(_check)
            await store.run(migrate)
            yield store
        finally:
            thread.submit(engine.dispose).result()


def store_error(error: sa.exc.DBAPIError) -> StoreError:
    """The error of our tree for a database error, without the statement and its values."""
    name = getattr(error.orig, "sqlite_errorname", "")
    kind = next((kind for start, kind in ERRORS.items() if name.startswith(start)), StoreError)
    return kind(f"{name}: {error.orig}" if name else str(error.orig))


def _configure(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
    connection.isolation_level = None  # the driver would begin deferred transactions; _begin begins immediate ones
    for pragma in PRAGMAS:
        connection.execute(pragma)


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _check(connection: sa.Connection) -> None:
    verdict = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
    if verdict != "ok":
        raise StoreDamaged(verdict)
