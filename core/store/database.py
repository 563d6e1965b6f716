"""Runs the store's verbs: in one transaction each, with errors from our tree."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, nullcontext
from typing import Any, Concatenate, ParamSpec, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa

from core.store import postgresql, sqlite
from core.store.portable import POSTGRESQL
from core.store.transactions import Timed, Transactions

P = ParamSpec("P")
R = TypeVar("R")
Verbs: TypeAlias = Collection[Callable[..., Any]]


class Store(Protocol):
    """Runs verbs: functions of an open transaction that is committed when they return and rolled back if they raise."""

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Run `verb(connection, *args, **kwargs)` and return its result after the commit. Raises StoreError."""

    async def read(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Like `run`, for a verb that writes nothing. It works on a full or read-only disk too."""

    async def scrub(self) -> bool:
        """Have deleted text in no file, as far as the database lets us. True if it is done."""


class Database:
    """A `Store` in an SQL database.

    Verbs run on the store's own threads. Cancelling the caller does not interrupt one, so no transaction stays open.
    Those in `beside` may run beside each other; any other one runs alone.
    """

    def __init__(self, transactions: Transactions, threads: ThreadPoolExecutor, beside: Verbs) -> None:
        self.transactions = transactions
        self._threads = threads
        self._beside = beside

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def work(connection: sa.Connection) -> R:
            return verb(connection, *args, **kwargs)

        return await self._on_thread(lambda: self.transactions.run(work, beside=verb in self._beside))

    async def read(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def work(connection: sa.Connection) -> R:
            return verb(connection, *args, **kwargs)

        return await self._on_thread(lambda: self.transactions.read(work))

    async def scrub(self) -> bool:
        return await self._on_thread(self.transactions.scrub)

    async def call(self, work: Callable[[], R]) -> R:
        """Run `work()` on a thread of the store. Raises StoreError for database errors."""
        return await self._on_thread(lambda: self.transactions.call(work))

    async def _on_thread(self, work: Callable[[], R]) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


@asynccontextmanager
async def open_store(url: str, timed: Timed = nullcontext, *, beside: Verbs = ()) -> AsyncIterator[Database]:
    """Open the store at an SQLAlchemy URL, check it, and migrate it to the current schema. Raises StoreError.

    `beside` are the verbs that are safe beside each other.
    """
    kind = postgresql if sa.make_url(url).get_backend_name() == POSTGRESQL else sqlite
    engine = kind.make_engine(url)
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        threads = stack.enter_context(ThreadPoolExecutor(kind.THREADS, thread_name_prefix="store"))
        if kind.THREADS == 1:  # a connection of SQLite is closed on the thread that has opened it
            stack.callback(lambda: threads.submit(engine.dispose).result())
        transactions: Transactions = await loop.run_in_executor(threads, kind.open_transactions, engine, timed)
        yield Database(transactions, threads, frozenset(beside))
