"""A database of its own for each run, and what the server's processes take for it."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Final
from uuid import uuid4

import sqlalchemy as sa

from benchmarks.simulation.database import HAS_UNCLAIMED
from core.store import open_store, turns

COMMITS: Final = 400
WARM_UP: Final = 50


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """The URL of a new database of a server, which is dropped in the end."""
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"fleet_{uuid4().hex}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        try:
            yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


def backends(url: str) -> list[int]:
    """The ids of the processes that serve the other connections to a database of this machine."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with _connected(url) as connection:
        return list(connection.exec_driver_sql(query).scalars())


def transactions(url: str) -> int:
    """Transactions of a database that have ended so far, about a second ago."""
    query = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    with _connected(url) as connection:
        return int(connection.exec_driver_sql(query).scalar_one())


def commit_seconds(url: str) -> float:
    """How much longer a transaction takes if it waits until the log is on the disk, in the median."""
    took: Mapping[str, list[float]] = {"on": [], "off": []}
    with _connected(url) as connection:
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS pulse (beat int)")
        for _ in range(COMMITS):
            for mode, times in took.items():
                connection.exec_driver_sql(f"SET synchronous_commit = {mode}")
                begun = time.perf_counter()
                connection.exec_driver_sql("INSERT INTO pulse VALUES (1)")
                times.append(time.perf_counter() - begun)
    return median(took["on"]) - median(took["off"])


async def trip_seconds(url: str) -> float:
    """Seconds of the processor that this side takes for a trip, in the store's own code."""
    async with open_store(url, beside=[turns.has_unclaimed]) as store:
        for _ in range(WARM_UP):
            await store.run(turns.has_unclaimed, ("web/web",))
        begun = time.process_time()
        for _ in range(COMMITS):
            await store.run(turns.has_unclaimed, ("web/web",))
        return (time.process_time() - begun) / COMMITS / HAS_UNCLAIMED.trips


@contextmanager
def _connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
