"""The store in a PostgreSQL database: a few connections, and verbs that run beside each other if they are safe so.

Each transaction that may write takes the advisory lock of the installation, for itself alone or shared with others. It
is released after the commit, so that the next transaction sees all that was committed.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from core.errors import StoreUnusable
from core.store import advisory_locks
from core.store.alone import BESIDE, NotAlone
from core.store.indexes import build_indexes
from core.store.migrate import migrate_or_create
from core.store.transactions import Timed
from core.store.translation import translated

R = TypeVar("R")

THREADS = 4
"""Connections, and threads that use them."""
TRIES = 5
"""Of a transaction that the server has rolled back for the sake of others."""
TRIES_TO_PREPARE, PAUSE = 30, 1.0
"""Of a migration that waits for a lock, and the seconds between them."""
SESSION = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '5s'"
"""The latter is for a gateway that stands still, or is cut off, with a lock."""
NOTICING = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,  # milliseconds without an acknowledgement
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
"""Options of a connection, unless its URL has them: a server that is gone is noticed within seconds."""
PREPARED = "prepare_threshold"
"""Parameter of a URL: "none" for a pooler that shares connections, on which no statement may be prepared."""
PATIENCE = sa.text("SET LOCAL lock_timeout = '1s'")
"""Of a migration: if it waits for a table that somebody reads, messages wait behind it."""
READ_ONLY = "25006"
ROLLED_BACK = {"40001", "40P01", READ_ONLY}
"""A serialisation failure, a deadlock, and a server that has become a standby: nothing was written."""
UNIQUE_VIOLATION = "23505"
LOCK_NOT_AVAILABLE = "55P03"
NOT_BEGUN = "nothing was done yet"
"""A detail of the error of a connection that had ended before."""


class PostgreSQL:
    """The `Transactions` of a PostgreSQL database."""

    def __init__(self, engine: sa.Engine, timed: Timed) -> None:
        self.engine = engine
        self._timed = timed

    def run(self, work: Callable[[sa.Connection], R], *, beside: bool) -> R:
        return translated(lambda: self._run(work, beside=beside))

    def read(self, work: Callable[[sa.Connection], R]) -> R:
        """The work reads the state of one moment, and the server refuses to write anything."""
        return translated(lambda: self._read(work))

    def scrub(self) -> bool:
        """What the server's files keep of deleted rows is its own affair: vacuuming, and the log of its backups."""
        return True

    def call(self, work: Callable[[], R]) -> R:
        return translated(work)

    def _run(self, work: Callable[[sa.Connection], R], *, beside: bool) -> R:
        """Try until the server lets it pass, at last alone. Of two verbs that insert one row, one is begun anew."""
        for _ in range(TRIES - 1):
            try:
                return self._attempt(work, beside=beside)
            except NotAlone:
                beside = False
            except sa.exc.DBAPIError as error:
                is_clash = beside and sqlstate(error) == UNIQUE_VIOLATION
                if not (is_clash or sqlstate(error) in ROLLED_BACK or NOT_BEGUN in error.detail):
                    raise
                beside = beside and not is_clash
        return self._attempt(work, beside=False)

    def _attempt(self, work: Callable[[sa.Connection], R], *, beside: bool) -> R:
        opened = self.engine.connect().execution_options(**{BESIDE: beside})
        with opened as connection, self._timed(), connection.begin():
            _lock(connection, advisory_locks.BESIDE if beside else advisory_locks.ALONE)
            return work(connection)

    def _read(self, work: Callable[[sa.Connection], R]) -> R:
        try:
            return self._look(work)
        except sa.exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._look(work)

    def _look(self, work: Callable[[sa.Connection], R]) -> R:
        snapshot: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with self.engine.connect().execution_options(**snapshot) as connection, connection.begin():
            return work(connection)


def open_transactions(engine: sa.Engine, timed: Timed) -> PostgreSQL:
    """The transactions of a database, in which the tables are made or migrated."""
    translated(lambda: prepare(engine))
    translated(lambda: build_indexes(engine))
    return PostgreSQL(engine, timed)


def make_engine(url: str) -> sa.Engine:
    """An engine with a small pool of connections, which notice soon that the server is gone."""
    parsed = sa.make_url(url)
    chosen: dict[str, int | None] = {**noticing(parsed)}
    if parsed.query.get(PREPARED) == "none":
        chosen[PREPARED] = None
    options: dict[str, Any] = {"pool_size": THREADS, "max_overflow": 0, "use_native_hstore": False}
    try:
        engine = sa.create_engine(
            parsed.difference_update_query([PREPARED]),
            isolation_level="READ COMMITTED",
            connect_args=chosen,
            **options,
        )
    except ImportError:
        raise StoreUnusable("PostgreSQL needs an extra: pip install 'parley[postgres]'") from None
    sa.event.listen(engine, "handle_error", _leave_standby)
    sa.event.listen(engine, "connect", partial(_configure, _words(engine.dialect.dbapi)))
    return engine


def noticing(url: sa.URL) -> Mapping[str, int]:
    """Options of a connection by which it notices that the server is gone."""
    return {key: value for key, value in NOTICING.items() if key not in url.query}


def prepare(engine: sa.Engine, sleep: Callable[[float], None] = time.sleep) -> None:
    """Make the tables of a new database, and migrate those of an older one, while other gateways use them.

    What waits for a lock for long is rolled back and tried again for a minute, so that messages pass in between.
    """
    for _ in range(TRIES_TO_PREPARE - 1):
        try:
            return _prepare(engine)
        except sa.exc.DBAPIError as error:
            if sqlstate(error) not in {LOCK_NOT_AVAILABLE, *ROLLED_BACK}:
                raise
        sleep(PAUSE)
    return _prepare(engine)


def _prepare(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(PATIENCE)
        connection.execute(advisory_locks.PREPARE)
        migrate_or_create(connection)


def hold(connection: sa.Connection) -> bool:
    """Have no other connection of ours open as long as this one is. False if there is one."""
    with connection.begin():
        return bool(connection.execute(advisory_locks.HOLD).scalar_one())


def sqlstate(error: sa.exc.DBAPIError) -> str | None:
    """The server's code of an error; None if it comes from the client."""
    return getattr(error.orig, "sqlstate", None)


def _lock(connection: sa.Connection, lock: sa.TextClause) -> None:
    """Take a lock, which is the first thing that a transaction does. The server may have ended an idle connection."""
    try:
        connection.execute(lock)
    except sa.exc.DBAPIError as error:
        if error.connection_invalidated:
            error.add_detail(NOT_BEGUN)
        raise


def _leave_standby(context: sa.ExceptionContext) -> None:
    """Have the next transaction connect anew, to the server that is the primary now if the URL names several."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True


def _words(driver: Any) -> type[Any]:  # noqa: ANN401  it need not be installed
    """The driver's writer of texts, which leaves out the one character that PostgreSQL does not store."""

    class Words(driver.types.string.StrDumperUnknown):  # type: ignore[misc]  # it is not typed here
        def dump(self, text: str) -> Any:  # noqa: ANN401
            return super().dump(text.replace("\0", ""))

    return Words


def _configure(words: type[Any], connection: Any, _record: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
    with ExitStack() as failed:
        failed.callback(connection.close)
        connection.adapters.register_dumper(str, words)
        connection.autocommit = True
        connection.execute(SESSION)
        connection.execute(str(advisory_locks.USE))
        connection.autocommit = False
        failed.pop_all()
