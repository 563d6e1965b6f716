import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.clock import ManualClock
from core.errors import BackupRefused
from core.messages import Person
from core.store import backups, open_store, records
from core.store.migrate import migrate
from tests.core.conftest import Write
from tests.core.store.test_records import ANN, BOB, Scene

STAMP = "20260101T000000Z"


class House:
    """A database in a folder, opened anew by each `scene`."""

    def __init__(self, folder: Path, clock: ManualClock, write: Write) -> None:
        self.folder, self.clock, self.write = folder, clock, write
        self.database = folder / "parley.db"
        self.backup = folder / "backup.db"

    @asynccontextmanager
    async def scene(self) -> AsyncIterator[Scene]:
        async with open_store(f"sqlite:///{self.database}") as store:
            yield Scene(store, self.clock, self.write, self.folder)

    def restore(self) -> backups.Restored:
        return backups.restore(self.database, self.backup, STAMP)


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock, write: Write) -> House:
    return House(tmp_path, clock, write)


async def test_a_backup_comes_back(house: House) -> None:
    """What was stored at the backup is there again, and the database that it replaces stays beside it as one file."""
    async with house.scene() as scene:
        await scene.answered("before")
        backups.back_up(house.database, house.backup)
        await scene.answered("after")
    assert house.backup.stat().st_mode & 0o777 == 0o600
    done = house.restore()
    assert done.kept == house.folder / f"parley.db.replaced-{STAMP}"
    async with house.scene() as scene:
        assert await scene.rows("SELECT text FROM turns") == [("before",)]
    with closing(sqlite3.connect(done.kept)) as kept:
        assert kept.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert kept.execute("SELECT text FROM turns").fetchall() == [("before",), ("after",)]


async def test_a_backup_under_load_is_whole(house: House) -> None:
    """A backup made while messages are committed has all that were committed before it, and is intact."""
    async with house.scene() as scene:
        for number in range(20):
            await scene.answered(f"before {number}")
        making = threading.Thread(target=backups.back_up, args=(house.database, house.backup))
        making.start()
        while making.is_alive():
            await scene.answered("meanwhile")
        making.join()
    with closing(sqlite3.connect(house.backup)) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert copy.execute("SELECT count(*) FROM turns WHERE text LIKE 'before%'").fetchone() == (20,)


async def test_a_backup_overwrites_nothing(house: House) -> None:
    """A file that exists is left as it is; a failed backup leaves none behind."""
    house.backup.write_text("precious")
    async with house.scene():
        with pytest.raises(BackupRefused, match="exists already"):
            backups.back_up(house.database, house.backup)
    assert house.backup.read_text() == "precious"
    damaged = house.folder / "damaged.db"
    damaged.write_bytes(b"these are not the bytes of a database " * 100)
    with pytest.raises(sqlite3.DatabaseError):
        backups.back_up(damaged, house.folder / "new.db")
    assert not list(house.folder.glob("new.db*"))


async def test_what_was_answered_since_is_not_answered_twice(house: House) -> None:
    """A turn that was open at the backup, and events accepted after it, are known after the restore."""
    async with house.scene() as scene:
        first = scene.write("first", who="bob")
        await scene.admission.accept(first)
        backups.back_up(house.database, house.backup)
        await scene.deliver(await scene.claim())
        second = scene.write("second", who="ann")
        await scene.admission.accept(second)
        await scene.deliver(await scene.claim())
        await scene.ask("waits", Person(platform="test", workspace="w", id="cid"))
    assert house.restore().dropped == 0
    async with house.scene() as scene:
        for message in (first, second):
            assert type(await scene.admission.accept(message)).__name__ == "Duplicate"
        assert (await scene.claim()).message.text == "waits"


async def test_a_forgotten_person_does_not_come_back(house: House) -> None:
    """A backup that is older than /forget is restored without the person; what it holds of others is there."""
    async with house.scene() as scene:
        await scene.answered("canary-annabel sings")
        await scene.answered("from bob", BOB)
        backups.back_up(house.database, house.backup)
        late = scene.write("delivered late", who=ANN.id)
        scene.clock.advance(5)
        await scene.forget()
    house.restore()
    house.backup.unlink()
    async with house.scene() as scene:
        assert scene.files_with("canary-annabel") == []
        assert await scene.rows("SELECT text FROM turns") == [("from bob",)]
        assert type(await scene.admission.accept(late)).__name__ == "Duplicate"


async def test_whom_an_operator_had_forgotten_does_not_come_back(house: House) -> None:
    """A backup from before is restored without the person, also if they were forgotten earlier."""
    async with house.scene() as scene:
        await scene.forget()
        await scene.answered("canary-annabel sings")
        backups.back_up(house.database, house.backup)
        await scene.store.run(records.forget, ANN, 0)
    house.restore()
    async with house.scene() as scene:
        assert await scene.rows("SELECT text FROM turns") == []


async def test_who_came_back_after_being_forgotten_stays(house: House) -> None:
    """A backup made after /forget keeps what the person has said since."""
    async with house.scene() as scene:
        await scene.forget()
        await scene.answered("hello again")
        backups.back_up(house.database, house.backup)
    house.restore()
    async with house.scene() as scene:
        assert await scene.rows("SELECT text FROM turns") == [("hello again",)]


async def test_an_old_backup_is_migrated(house: House) -> None:
    """A backup of an earlier version is restored, and gets today's schema."""
    engine = sa.create_engine(f"sqlite:///{house.backup}")
    with engine.begin() as connection:
        migrate(connection, "0006")
    engine.dispose()
    assert house.restore() == backups.Restored(kept=None, dropped=0)
    async with house.scene() as scene:
        await scene.answered("hello")


async def test_open_turns_are_dropped_if_nothing_is_known_of_them(house: House) -> None:
    """Without the database that it replaces, a backup's open turns may be answered already, so they are not."""
    async with house.scene() as scene:
        await scene.ask("waits")
        backups.back_up(house.database, house.backup)
    house.database.unlink()
    assert house.restore() == backups.Restored(kept=None, dropped=1)


async def test_a_restore_is_refused(house: House) -> None:
    """A file that is no backup, a database that somebody uses, and a damaged one all stay as they are."""
    async with house.scene() as scene:
        await scene.answered("hello")
        with pytest.raises(BackupRefused, match="no such file"):
            house.restore()
        house.backup.write_bytes(b"")
        with pytest.raises(BackupRefused, match="no backup"):
            house.restore()
        house.backup.unlink()
        backups.back_up(house.database, house.backup)
        with pytest.raises(BackupRefused, match="using it"):
            house.restore()
    house.database.write_bytes(b"these are not the bytes of a database " * 100)
    with pytest.raises(BackupRefused, match="move it away"):
        house.restore()
    assert house.database.read_bytes().startswith(b"these are not")
    assert not list(house.folder.glob("*.restoring*"))


@pytest.mark.parametrize("revision", ["0001", "0004", "0006", "0008"])
async def test_copies_of_migrations_forget_too(house: House, revision: str) -> None:
    """After /forget the copy that a migration has left holds nothing of the person, and all of the others."""
    engine = sa.create_engine(f"sqlite:///{house.database}")
    with engine.begin() as connection:
        migrate(connection, revision)
        for person_id, person in enumerate((ANN, BOB), 1):
            insert(connection, "people", id=person_id, key=str(person))
            for number in range(30):
                text = f"canary-{person.id} {number} " + "x" * 500 * (number % 5)
                insert(connection, "turns", person_id=person_id, conversation=str(person), text=text, state="delivered")
    engine.dispose()
    async with house.scene() as scene:
        (copy,) = house.folder.glob("parley.db.before-*")
        (house.folder / "parley.db.before-0001.partial").write_bytes(b"canary-annabel, cut off by a crash")
        assert copy.name in scene.files_with("canary-annabel")
        await scene.forget()
        assert await scene.store.scrub()
        assert scene.files_with("annabel") == []
        assert copy.name in scene.files_with("canary-bob")
    with closing(sqlite3.connect(copy)) as old:
        assert old.execute("SELECT count(*) FROM turns").fetchone() == (30,)


def insert(connection: sa.Connection, table: str, **values: object) -> None:
    """Insert a row of any schema: other columns without a default are empty."""
    for _, name, kind, is_needed, default, is_key in connection.exec_driver_sql(f"PRAGMA table_info({table})").all():
        if is_needed and default is None and not is_key:
            values.setdefault(name, "" if kind == "TEXT" else 0)
    names = ", ".join(values)
    connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES (:{', :'.join(values)})"), values)
