"""The store in an SQLite file: one thread, and one transaction at a time."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from core.errors import StoreDamaged, StoreFailing, StoreReadOnly
from core.store import removal, tombstones
from core.store.checking import CHECK, judge
from core.store.files import OpenFile, open_privately
from core.store.migrate import migrate
from core.store.old_copies import forget_in_copies
from core.store.transactions import Timed
from core.store.translation import translated

R = TypeVar("R")

THREADS = 1
BUSY_TIMEOUT_MS = 5_000
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL loses acknowledged commits when the power fails
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",  # /forget overwrites what it deletes
)
READS = "reads"
"""Execution option of transactions that only read: they need no lock, so that a full disk does not stop them."""


class SQLite:
    """The `Transactions` of an SQLite database, each of which has it alone."""

    def __init__(self, engine: sa.Engine, file: OpenFile | None, timed: Timed) -> None:
        self.engine = engine
        self._file = file
        self._timed = timed
        self._is_scrubbed = False  # a process that was killed may have left words in the log

    def run(self, work: Callable[[sa.Connection], R], *, beside: bool) -> R:  # noqa: ARG002  it has the lock anyway
        return self.call(lambda: self._run(work))

    def read(self, work: Callable[[sa.Connection], R]) -> R:
        return self.call(lambda: self._read(work))

    def scrub(self) -> bool:
        """The write-ahead log is truncated, and people are forgotten in the copies beside the file.

        If another process reads the database meanwhile, this is done after a later transaction, once it has ended.
        """
        self.call(self._truncate)
        if self._file:
            path, buried = self._file.path, self.read(tombstones.buried)
            self.call(lambda: forget_in_copies(path, *buried))
        return self._is_scrubbed

    def call(self, work: Callable[[], R]) -> R:
        """After an error of the disk the file is opened anew: SQLite may have opened it for reading only."""
        try:
            return translated(work)
        except (StoreFailing, StoreReadOnly, StoreDamaged):
            if self._file:
                self.engine.dispose()
            raise

    def _run(self, work: Callable[[sa.Connection], R]) -> R:
        with self.engine.connect() as connection:
            with self._timed():
                result = self._transact(connection, work)
            self._is_scrubbed = not removal.has_left_words(connection) and self._is_scrubbed
        if not self._is_scrubbed:
            self._truncate()
        return result

    def _read(self, work: Callable[[sa.Connection], R]) -> R:
        with self.engine.connect().execution_options(**{READS: True}) as connection:
            return self._transact(connection, work)

    def _transact(self, connection: sa.Connection, work: Callable[[sa.Connection], R]) -> R:
        """Do some work in a transaction; the file is the right one before it and after its commit."""
        with connection.begin():
            self._check_file(connection)
            result = work(connection)
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
        with closing(self.engine.raw_connection()) as connection:
            connection.execute("PRAGMA busy_timeout = 0").fetchall()
            try:
                ((is_left, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            except sqlite3.DatabaseError:
                is_left = True
            connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}").fetchall()
        self._is_scrubbed = not is_left


def open_transactions(engine: sa.Engine, timed: Timed) -> SQLite:
    """The transactions of a database, which is checked, migrated, and readable by its owner alone."""
    path = Path(engine.url.database) if engine.url.database else None
    return SQLite(engine, translated(lambda: prepare(engine, path)), timed)


def make_engine(url: str) -> sa.Engine:
    """An engine whose transactions take the write lock at their beginning, and whose commits survive a power cut."""
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _configure)
    sa.event.listen(engine, "begin", _begin)
    return engine


def make_holding_engine(url: str) -> sa.Engine:
    """An engine that no other process can have the file open beside, and that changes nothing in it by itself."""
    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", _hold)
    sa.event.listen(engine, "begin", _begin_holding)
    return engine


def prepare(engine: sa.Engine, path: Path | None) -> OpenFile | None:
    """Make the file at the path private, check the database, and migrate it."""
    file = open_privately(path) if path else None
    with engine.begin() as connection:
        judge(connection.exec_driver_sql(CHECK).scalar_one())
    with engine.begin() as connection:
        migrate(connection, path=path)
    return file


def _configure(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
    connection.isolation_level = None  # the driver would begin deferred transactions; _begin begins immediate ones
    for pragma in PRAGMAS:
        connection.execute(pragma).fetchall()  # to its end: some errors come after the row


def _begin(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(READS) else "BEGIN IMMEDIATE")


def _hold(connection: sqlite3.Connection, _record: Any) -> None:  # noqa: ANN401
    connection.isolation_level = None
    connection.text_factory = bytes.decode  # the driver's error about a text that is not UTF-8 would quote it
    connection.execute("PRAGMA busy_timeout = 0").fetchall()  # a gateway does not go away by itself
    connection.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()


def _begin_holding(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN EXCLUSIVE")
