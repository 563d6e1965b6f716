"""What can go wrong with a server: each failure is an error of our tree, and the next transaction has a connection."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import psycopg
import pytest
import sqlalchemy as sa

from core.clock import ManualClock, ShiftedClock
from core.errors import (
    StoreDamaged,
    StoreError,
    StoreFailing,
    StoreFull,
    StoreLocked,
    StoreLost,
    StoreReadOnly,
    StoreTooNew,
    StoreUnusable,
)
from core.messages import Person
from core.store import Database, Store, open_store, people
from core.store.postgresql import THREADS
from core.store.server_time import adjust
from core.store.translation import store_error
from tests.postgresql import new_schema

ANN = Person(platform="test", workspace="w", id="ann")
EVERYBODY = sa.text("SELECT count(*) FROM people")


@pytest.fixture
async def store(empty_postgresql: str) -> AsyncIterator[Database]:
    async with open_store(empty_postgresql) as opened:
        yield opened


@pytest.fixture
def killer(empty_postgresql: str) -> Iterator[sa.Engine]:
    """Connections of an administrator of the server."""
    engine = sa.create_engine(empty_postgresql, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


def kill(killer: sa.Engine, pid: int) -> None:
    """End a connection, and wait until it has ended."""
    with killer.connect() as connection:
        assert connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid}).scalar_one()


def _setting(connection: sa.Connection, name: str) -> str:
    return str(connection.exec_driver_sql(f"SHOW {name}").scalar_one())


def backend(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


async def test_a_connection_that_is_cut_in_the_middle_leaves_nothing(store: Store, killer: sa.Engine) -> None:
    """The verb raises, nothing of it is stored, and the next one has a new connection."""

    def cut(connection: sa.Connection) -> None:
        people.find_or_add(connection, ANN)
        kill(killer, backend(connection))
        connection.execute(EVERYBODY)

    with pytest.raises(StoreFailing):
        await store.run(cut)
    assert await store.read(lambda c: c.scalar(EVERYBODY)) == 0
    assert (await store.run(people.find_or_add, ANN)).id


async def test_a_commit_that_is_cut_is_not_confirmed(store: Store, killer: sa.Engine) -> None:
    """If the connection is gone when a verb has returned, the caller is not told that it is stored."""

    def cut(connection: sa.Connection) -> None:
        people.find_or_add(connection, ANN)
        kill(killer, backend(connection))

    with pytest.raises(StoreFailing):
        await store.run(cut)
    assert await store.read(lambda c: c.scalar(EVERYBODY)) == 0


async def test_idle_connections_that_end_cost_nothing(store: Store, killer: sa.Engine) -> None:
    """A server that was restarted while nothing happened is noticed by nobody: nothing was begun yet."""
    assert (await store.run(people.find_or_add, ANN)).id == 1
    await kill_idle(store, killer)
    assert (await store.run(people.find_or_add, ANN)).id == 1
    await kill_idle(store, killer)
    assert await store.read(lambda c: c.scalar(EVERYBODY)) == 1


async def kill_idle(store: Store, killer: sa.Engine) -> None:
    """End all connections of a store."""
    for pid in {*await asyncio.gather(*(store.read(backend) for _ in range(THREADS)))}:
        kill(killer, pid)


async def test_what_reads_cannot_write(store: Store) -> None:
    """The server refuses it."""
    with pytest.raises(StoreReadOnly):
        await store.read(people.set_noticed, 1, 5.0)


async def test_a_server_that_became_a_standby_is_left(store: Store) -> None:
    """Its connections refuse to write; each is replaced, and the verb runs on the server that is reached then."""

    def demote(connection: sa.Connection) -> None:
        connection.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

    for _ in range(THREADS):
        await store.run(demote)
    assert (await store.run(people.find_or_add, ANN)).id == 1


async def test_a_pooler_gets_no_prepared_statements(empty_postgresql: str) -> None:
    """With `prepare_threshold=none` no statement is kept on a connection, which may be another one's next."""

    def prepared(connection: sa.Connection) -> object:
        return connection.scalar(sa.text("SELECT count(*) FROM pg_prepared_statements"))

    for options, kept in (("", True), ("&prepare_threshold=none", False)):
        async with open_store(empty_postgresql + options) as store:
            counts = [await store.read(prepared) for _ in range(10 * THREADS)]
            assert any(counts) == kept


async def test_what_reads_sees_one_moment(store: Store) -> None:
    """Of two queries of a verb that reads, the second sees no later commit."""
    loop = asyncio.get_running_loop()

    def read(connection: sa.Connection) -> tuple[object, object]:
        before = connection.scalar(EVERYBODY)
        asyncio.run_coroutine_threadsafe(store.run(people.find_or_add, ANN), loop).result()
        return before, connection.scalar(EVERYBODY)

    assert await store.read(read) == (0, 0)


async def test_an_error_does_not_quote_what_people_wrote(store: Store) -> None:
    """PostgreSQL's details of an error hold values of rows; they are left out."""

    def twice(connection: sa.Connection) -> None:
        people.find_or_add(connection, ANN)
        connection.exec_driver_sql("INSERT INTO people SELECT 2, key, locale, spoken FROM people")

    def again(connection: sa.Connection) -> None:
        for _ in range(2):
            connection.execute(sa.text("INSERT INTO tombstones VALUES ('ann', 1, true, 1, 1, 1)"))

    for verb in (twice, again):
        with pytest.raises(StoreError) as raised:
            await store.run(verb)
        assert "ann" not in str(raised.value)


async def test_a_text_loses_the_character_that_cannot_be_stored(store: Store) -> None:
    """A NUL is left out: refused, it would be tried again for ever."""
    await store.run(people.find_or_add, ANN)
    await store.run(lambda c: c.execute(sa.text("UPDATE people SET hint = :hint"), {"hint": "e\0n"}))
    assert (await store.run(people.find_or_add, ANN)).languages.hint == "en"


async def test_a_newer_database_is_refused() -> None:
    """A database of a newer version that this one cannot use is not opened."""
    with new_schema() as url:
        async with open_store(url) as store:
            await store.run(lambda c: c.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
            await store.run(lambda c: c.execute(sa.text("UPDATE installation SET oldest_program = '9998'")))
        with pytest.raises(StoreTooNew, match="9999"):
            async with open_store(url):
                pass


async def test_a_clock_follows_that_of_the_server(store: Store) -> None:
    """Two gateways whose clocks are years apart have the same time."""
    clocks = [ShiftedClock(clock=ManualClock(epoch=epoch)) for epoch in (0.0, 1e9)]
    assert [await adjust(store, clock) for clock in clocks] == [True, True]
    one, other = (clock.now() for clock in clocks)
    assert abs(one - other) < 60


async def test_a_file_has_no_clock() -> None:
    """With SQLite there is one machine, and its clock is not touched."""
    clock = ShiftedClock(clock=ManualClock())
    async with open_store("sqlite://") as store:
        assert not await adjust(store, clock)
    assert clock.offset == 0.0


async def test_two_gateways_make_one_database() -> None:
    """Of two that open a new database at once, one makes the tables, and both find the same."""

    async def key(url: str) -> object:
        async with open_store(url) as store:
            return await store.read(lambda c: c.scalar(sa.text("SELECT key FROM installation")))

    with new_schema() as url:
        one, other = await asyncio.gather(key(url), key(url))
    assert one == other


async def test_a_server_that_does_not_answer_is_one_clear_error() -> None:
    """It may answer later, so that the program is worth starting again; its password is not told."""
    with pytest.raises(StoreFailing, match="refused") as raised:
        async with open_store("postgresql+psycopg://bot:secret@127.0.0.1:1/parley"):
            pass
    assert "secret" not in str(raised.value)


async def test_a_connection_ends_that_stands_still_with_a_lock(store: Store) -> None:
    """The server ends it, so that a gateway that was stopped does not keep the others from working."""
    for setting in ("idle_in_transaction_session_timeout", "lock_timeout"):
        shown = await store.read(_setting, setting)
        assert shown != "0"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.errors.DiskFull, StoreFull),
        (psycopg.errors.TooManyConnections, StoreFailing),
        (psycopg.errors.AdminShutdown, StoreLost),
        (psycopg.errors.IoError, StoreFailing),
        (psycopg.errors.ReadOnlySqlTransaction, StoreReadOnly),
        (psycopg.errors.IdleInTransactionSessionTimeout, StoreLost),
        (psycopg.errors.LockNotAvailable, StoreLocked),
        (psycopg.errors.DeadlockDetected, StoreLocked),
        (psycopg.errors.DataCorrupted, StoreDamaged),
        (psycopg.errors.InvalidPassword, StoreUnusable),
        (psycopg.errors.InvalidCatalogName, StoreUnusable),
        (psycopg.errors.InsufficientPrivilege, StoreUnusable),
        (psycopg.errors.UndefinedTable, StoreError),
        (psycopg.OperationalError, StoreLost),
        (psycopg.DataError, StoreError),
    ],
)
def test_errors_of_the_server_are_translated(error: type[psycopg.Error], kind: type[StoreError]) -> None:
    """Their codes tell what passes by itself from what an operator must mend."""
    assert type(store_error(error("text"))) is kind
