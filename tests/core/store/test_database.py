import asyncio
import errno
import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from core.errors import (
    StoreDamaged,
    StoreError,
    StoreExposed,
    StoreFailing,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    StoreReplaced,
    StoreTooNew,
    StoreUnusable,
)
from core.language import Languages
from core.messages import Person, Quote, Relation
from core.store import Store, open_store, people
from core.store.migrate import migrate
from core.store.schema import metadata, turns
from core.store.translation import store_error, translated

OLD_PERSON = """
INSERT INTO people (id, key, show_mood, throttled_until, noticed_at, served) VALUES (1, 'p', 1, 0, 0, 0)
"""
OLD_TURN = """
INSERT INTO turns (person_id, front, conversation, kind, text, sent_at, state, owner, lease_until, attempts, handle,
    accepted_at, tokens, remembered, context)
VALUES (1, 'f', 'c', 'private', 'hi', 0, 'waiting', '', 0, 0, '', 0, 0, 0, :context)
"""
ANN = Person(platform="test", workspace="w", id="ann")


def url(path: Path) -> str:
    return f"sqlite:///{path}"


async def test_migrations_produce_the_schema(store: Store) -> None:
    """A migrated database has exactly the schema of schema.py, and a number of each event that SQLite has anyway."""

    def differences(connection: sa.Connection) -> list[object]:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
        return [difference for difference in found if "rowid" not in str(difference)]

    assert await store.run(differences) == []


def test_language_of_a_person_survives_the_migration_that_splits_it() -> None:
    """What the one column for the language held becomes the language of the person's sentences."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection, "0003")
        connection.execute(sa.text("INSERT INTO people VALUES (1, 'test/w/ann', 'zh', 1, 0, 0, 0, NULL)"))
        migrate(connection)
        assert people.find_or_add(connection, ANN).languages == Languages(spoken="zh")


def test_quoted_lines_survive_the_migration_to_parts() -> None:
    """What the one column for context held becomes a quote from earlier in the chat; other messages have none."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection, "0004")
        connection.execute(sa.text(OLD_PERSON))
        for context in ('we saw a "whale"\nbye', ""):
            connection.execute(sa.text(OLD_TURN), {"context": context})
        migrate(connection)
        rows = connection.execute(sa.select(turns.c.quotes, turns.c.media).order_by(turns.c.id)).all()
    assert rows[0] == ((Quote(relation=Relation.EARLIER, text='we saw a "whale"\nbye'),), ())
    assert rows[1] == ((), ())


def test_replies_of_before_have_no_time_of_their_first_words() -> None:
    """The migration that adds the column fills in nothing, since it was not measured."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        migrate(connection, "0004")
        connection.execute(sa.text(OLD_PERSON))
        connection.execute(sa.text(OLD_TURN), {"context": ""})
        migrate(connection)
        assert connection.scalars(sa.select(turns.c.first_piece)).all() == [None]


async def test_a_scrub_leaves_no_statement_open(store: Store) -> None:
    """A transaction that follows a scrub commits."""
    for _ in range(200):
        await store.scrub()
        await store.run(people.find_or_add, ANN)


async def test_a_scrub_is_made_up_for(tmp_path: Path) -> None:
    """A scrub does not wait for another process that reads; what it left is gone after a later transaction."""
    path = tmp_path / "parley.db"
    async with open_store(f"sqlite:///{path}") as store:
        await store.run(people.find_or_add, ANN)
        with closing(sqlite3.connect(path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM people").fetchone()
            await store.run(lambda connection: connection.exec_driver_sql("DELETE FROM people"))
            assert not await store.scrub()
            assert files_with(tmp_path, str(ANN)) != []
        await store.run(lambda connection: connection.exec_driver_sql("SELECT 1"))
        assert files_with(tmp_path, str(ANN)) == []


def files_with(folder: Path, word: str) -> list[str]:
    return [file.name for file in folder.iterdir() if word.encode() in file.read_bytes()]


async def test_commits_survive_a_power_cut(tmp_path: Path) -> None:
    """A file store uses a write-ahead log and syncs it at every commit."""

    def pragmas(connection: sa.Connection) -> tuple[str, int]:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        return mode, connection.exec_driver_sql("PRAGMA synchronous").scalar_one()

    async with open_store(url(tmp_path / "p.db")) as store:
        assert await store.run(pragmas) == ("wal", 2)


async def test_failed_verb_changes_nothing(store: Store) -> None:
    """A verb that raises is rolled back."""

    def half(connection: sa.Connection) -> None:
        people.find_or_add(connection, ANN)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.run(half)
    assert await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM people"))) == 0


async def test_cancelled_caller_does_not_interrupt_a_verb(store: Store) -> None:
    """A verb whose caller is cancelled still commits, and the next one runs."""
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> None:
        begun.set()
        go_on.wait()
        people.find_or_add(connection, ANN)

    task = asyncio.create_task(store.run(slow))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    assert await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM people"))) == 1


async def test_refuses_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    """A file that is not a database is refused and not changed."""
    path = tmp_path / "p.db"
    path.write_bytes(b"these are not the bytes of a database " * 100)
    before = path.read_bytes()
    with pytest.raises(StoreDamaged):
        async with open_store(url(path)):
            pass
    assert path.read_bytes() == before


async def test_refuses_a_damaged_database(tmp_path: Path) -> None:
    """A database with a damaged page is refused at the start and not written to."""
    path = tmp_path / "p.db"
    async with open_store(url(path)) as store:
        for number in range(200):
            await store.run(people.find_or_add, Person(platform="test", workspace="w" * 200, id=str(number)))
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreDamaged):
        async with open_store(url(path)):
            pass
    assert path.read_bytes() == bytes(content)


async def test_full_disk_raises_and_recovers(tmp_path: Path) -> None:
    """A write to a full disk raises StoreFull, and the store works again once there is room."""
    async with open_store(url(tmp_path / "p.db")) as store:
        pages = await store.run(lambda c: c.exec_driver_sql("PRAGMA page_count").scalar_one())
        await store.run(lambda c: c.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar_one())
        crowd = [Person(platform="test", workspace="w" * 500, id=str(number)) for number in range(200)]
        with pytest.raises(StoreFull):
            await add_all(store, crowd)
        await store.run(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 100000").scalar_one())
        await add_all(store, crowd)


async def test_a_full_disk_does_not_stop_reads(tmp_path: Path) -> None:
    """What only reads works while nothing can be written, and needs no lock that another process holds."""
    path = tmp_path / "p.db"
    async with open_store(url(path)) as store:
        await store.run(people.find_or_add, ANN)
        await store.run(lambda c: c.exec_driver_sql("PRAGMA query_only = ON"))
        with pytest.raises(StoreReadOnly):
            await store.run(people.set_noticed, 1, 5.0)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert await store.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM people"))) == 1
        await store.read(lambda c: c.exec_driver_sql("PRAGMA query_only = OFF"))
        await store.run(people.set_noticed, 1, 5.0)


@pytest.mark.parametrize("lost", ["p.db", "p.db-wal"])
async def test_a_removed_file_takes_nothing_in(tmp_path: Path, lost: str) -> None:
    """If the database or its log is moved away, nothing is committed; once it is back, all goes on."""
    path = tmp_path / lost
    async with open_store(url(tmp_path / "p.db")) as store:
        await store.run(people.find_or_add, ANN)
        path.rename(tmp_path / "away")
        with pytest.raises(StoreReplaced):
            await store.run(people.find_or_add, ANN)
        path.write_bytes(b"another file")
        with pytest.raises(StoreReplaced):
            await store.run(people.find_or_add, ANN)
        (tmp_path / "away").rename(path)
        assert (await store.run(people.find_or_add, ANN)).id == 1


async def test_a_commit_to_a_removed_file_is_not_confirmed(tmp_path: Path) -> None:
    """A verb during which the file is removed raises, although SQLite has committed."""
    path = tmp_path / "p.db"
    async with open_store(url(path)) as store:
        with pytest.raises(StoreReplaced):
            await store.run(lambda _: path.unlink())


async def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """A database of a newer version that this one cannot use is refused, and not changed."""
    path = tmp_path / "p.db"
    async with open_store(url(path)) as store:
        await store.run(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
        await store.run(lambda c: c.exec_driver_sql("UPDATE installation SET oldest_program = '9998'"))
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="9999"):
        async with open_store(url(path)):
            pass
    assert path.read_bytes() == before


async def test_a_newer_database_that_has_only_grown_is_used(tmp_path: Path) -> None:
    """One that a newer version has migrated without taking anything away works, and keeps its schema."""
    path = tmp_path / "p.db"
    for _ in range(2):
        async with open_store(url(path)) as store:
            assert (await store.run(people.find_or_add, ANN)).id == 1
            await store.run(lambda c: c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'"))
    assert sorted(modes(tmp_path)) == ["p.db"]


async def test_an_older_database_is_copied_before_it_is_migrated(tmp_path: Path) -> None:
    """The copy has the old schema and all content, and only its owner may read it; a current database has none."""
    path = tmp_path / "p.db"
    engine = sa.create_engine(url(path))
    with engine.begin() as connection:
        migrate(connection, "0004")
        connection.execute(sa.text(OLD_PERSON))
    engine.dispose()
    for _ in range(2):
        async with open_store(url(path)) as store:
            head = await store.run(lambda c: c.scalar(sa.text("SELECT version_num FROM alembic_version")))
    assert sorted(modes(tmp_path)) == ["p.db", f"p.db.before-{head}"]
    copy = tmp_path / f"p.db.before-{head}"
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT key, version_num FROM people, alembic_version").fetchall() == [("p", "0004")]
    assert copy.stat().st_mode & 0o777 == 0o600


async def test_only_the_owner_can_read_the_files(tmp_path: Path) -> None:
    """New files are private whatever the umask says, and files of ours that others can read are made so."""
    path = tmp_path / "p.db"
    before = os.umask(0)
    try:
        async with open_store(url(path)) as store:
            await store.run(people.find_or_add, ANN)
            assert modes(tmp_path) == {"p.db": 0o600, "p.db-wal": 0o600, "p.db-shm": 0o600}
        path.chmod(0o644)
        async with open_store(url(path)) as store:
            await store.run(people.find_or_add, ANN)
            assert modes(tmp_path) == {"p.db": 0o600, "p.db-wal": 0o600, "p.db-shm": 0o600}
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_a_readable_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """A database of another user that others can read is refused, and left as it is."""
    path = tmp_path / "p.db"
    path.touch(0o644)
    path.chmod(0o644)
    os.chown(path, 12345, -1)
    with pytest.raises(StoreExposed, match="mode 600"):
        async with open_store(url(path)):
            pass
    assert modes(tmp_path) == {"p.db": 0o644}


async def test_a_missing_folder_is_one_clear_error(tmp_path: Path) -> None:
    """A database in a folder that does not exist cannot be made."""
    with pytest.raises(StoreUnusable, match="No such file"):
        async with open_store(url(tmp_path / "none" / "p.db")):
            pass


def modes(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


async def add_all(store: Store, crowd: list[Person]) -> None:
    for person in crowd:
        await store.run(people.find_or_add, person)


def test_database_errors_are_translated() -> None:
    """The driver's error names distinguish a locked, a full and a damaged database."""

    def kind(name: str) -> type[StoreError]:
        cause = sqlite3.OperationalError("text")
        cause.sqlite_errorname = name
        return type(store_error(cause))

    assert kind("SQLITE_BUSY_SNAPSHOT") is StoreLocked
    assert kind("SQLITE_FULL") is StoreFull
    assert kind("SQLITE_CORRUPT_INDEX") is StoreDamaged
    assert kind("SQLITE_READONLY_DBMOVED") is StoreReadOnly
    assert kind("SQLITE_IOERR_WRITE") is StoreFailing
    assert kind("SQLITE_CANTOPEN") is StoreFailing
    assert kind("SQLITE_PROTOCOL") is StoreFailing
    assert kind("SQLITE_ERROR") is StoreError


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EIO, StoreFailing),
        (errno.EMFILE, StoreFailing),
        (errno.EROFS, StoreReadOnly),
        (errno.EACCES, StoreUnusable),
    ],
)
def test_errors_of_the_system_are_translated(code: int, kind: type[StoreError]) -> None:
    """What may pass by itself is not told as something that an operator must mend: the start would end for good."""

    def work() -> None:
        raise OSError(code, "text", "p.db")

    with pytest.raises(StoreError) as raised:
        translated(work)
    assert type(raised.value) is kind


async def test_a_connection_that_cannot_write_is_not_kept(tmp_path: Path) -> None:
    """After a write that fails because the connection only reads, the next one has a new connection."""
    async with open_store(url(tmp_path / "p.db")) as store:
        await store.run(lambda c: c.exec_driver_sql("PRAGMA query_only = ON"))
        with pytest.raises(StoreReadOnly):
            await store.run(people.find_or_add, ANN)
        assert (await store.run(people.find_or_add, ANN)).id == 1


async def test_second_process_waits_for_the_first(tmp_path: Path) -> None:
    """A write waits for another process's transaction."""
    path = tmp_path / "p.db"
    async with open_store(url(path)) as store:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(store.run(people.find_or_add, ANN))
        await asyncio.to_thread(other.execute, "COMMIT")
        assert (await waiting).id == 1
        other.close()
