"""A database is moved whole between a file and a server, or not at all."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.clock import ManualClock
from core.errors import CopyRefused, StoreTooNew
from core.store import installation, open_store
from core.store.migrate import migrate
from core.store.moving import Place, copy
from core.store.people import set_served
from core.store.postgresql import make_engine
from core.store.rows import BATCH
from core.store.schema import metadata
from tests.core.conftest import Write
from tests.core.store.test_records import ANN, Scene
from tests.postgresql import new_schema

TEXTS = ("", "今天的茶 🍵 \u202e", "tab\t'quote' \"double\" \\back\r\n", '["\\ud800 is half a character"]')
FLOATS = (0.1 + 0.2, -0.0, 5e-324, float("inf"))
LARGEST = 2**31 - 2
KILLED = """
import os, signal, sys
import sqlalchemy as sa
from core.store.moving import Place, copy

source, target, point, hit = sys.argv[1:]
left = int(hit)

def kill(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

def seen(connection, cursor, statement, *_):
    if statement.startswith(point):
        kill()

if point == "COMMIT":
    sa.event.listen(sa.Engine, "commit", kill)
sa.event.listen(sa.Engine, "before_cursor_execute", seen)
copy(Place(url=source, name="from"), Place(url=target, name="to"))
"""


def odd(column: sa.Column[object], number: int) -> object:
    """A value that another database may change."""
    if column.nullable and number == 2:
        return None
    if isinstance(column.type, sa.Integer):
        return number + 1 if column.primary_key or column.foreign_keys else LARGEST - number
    if isinstance(column.type, sa.LargeBinary):
        return bytes([number, 0, 255, 10, 92])
    if isinstance(column.type, sa.Boolean):
        return number % 2
    return FLOATS[number] if isinstance(column.type, sa.Float) else f"{number} {TEXTS[number]}"


def fill(file: Path) -> None:
    """Four odd rows in each table."""
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        migrate(connection)
        connection.exec_driver_sql("DELETE FROM installation")
    engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        for table in metadata.sorted_tables:
            names = ", ".join(table.columns.keys())
            marks = ", ".join("?" * len(table.columns))
            for number in range(1 if table.name == "installation" else 4):
                values = [odd(column, number) for column in table.columns]
                connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)
        connection.commit()


def dump(file: Path) -> str:
    """All that a file says, exactly, in its order."""
    with closing(sqlite3.connect(file)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='table' ORDER BY 1")]
        return repr([(name, connection.execute(f"SELECT * FROM {name}").fetchall()) for name in names])


def file_at(path: Path) -> Place:
    return Place(url=f"sqlite:///{path}", name=str(path))


def tables_of(place: Place) -> list[str]:
    engine = make_engine(place.url)
    with engine.connect() as connection:
        found = sa.inspect(connection).get_table_names()
    engine.dispose()
    return found


@pytest.fixture
def server() -> Iterator[Place]:
    """An empty schema."""
    with new_schema() as url:
        yield Place(url=url, name="server")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with something odd in each table."""
    fill(tmp_path / "from.db")
    return tmp_path / "from.db"


def test_all_comes_back_as_it_was(source: Path, tmp_path: Path, server: Place) -> None:
    """A database that goes to a server and back has each value in each row, bit for bit, and a private file."""
    before = dump(source)
    there = copy(file_at(source), server)
    back = copy(server, file_at(tmp_path / "to.db"))
    assert there.contents == back.contents
    assert {one.table: one.rows for one in back.contents} == {
        table.name: 1 if table.name == "installation" else 4 for table in metadata.sorted_tables
    }
    assert dump(tmp_path / "to.db") == before == dump(source)
    assert (tmp_path / "to.db").stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["from.db", "to.db"]


def test_events_keep_their_order_in_many_batches(source: Path, tmp_path: Path, server: Place) -> None:
    """The oldest event is still the first one, whatever the order of the digests."""
    with closing(sqlite3.connect(source)) as connection:
        digests = [number.to_bytes(4, "little") for number in range(2 * BATCH + 1)]
        connection.executemany("INSERT INTO events VALUES (?, 5.0, NULL)", [(digest,) for digest in digests])
        connection.commit()
    copy(file_at(source), server)
    copy(server, file_at(tmp_path / "to.db"))
    assert dump(tmp_path / "to.db") == dump(source)


def test_a_nul_is_left_out_and_counted(source: Path, tmp_path: Path, server: Place) -> None:
    """PostgreSQL does not store it; all else of the text is there, and between files nothing is left out."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("UPDATE turns SET text = ?, reply = ? WHERE id = 1", ["\0a\0b", "\0"])
        connection.commit()
    assert copy(file_at(source), file_at(tmp_path / "same.db")).changed == 0
    assert dump(tmp_path / "same.db") == dump(source)
    assert copy(file_at(source), server).changed == 2
    copy(server, file_at(tmp_path / "to.db"))
    with closing(sqlite3.connect(tmp_path / "to.db")) as connection:
        assert connection.execute("SELECT text, reply FROM turns WHERE id = 1").fetchone() == ("ab", "")


async def test_ids_go_on_where_they_were(tmp_path: Path, clock: ManualClock, write: Write, server: Place) -> None:
    """On a server and back in a file no id of a turn is given twice, and places in the round robin go on too."""
    async with open_store(f"sqlite:///{tmp_path}/from.db") as store:
        scene = Scene(store, clock, write, tmp_path)
        await scene.answered("one")
        await store.run(lambda c: c.execute(sa.text("UPDATE installation SET last_turn = 40")))
        await store.run(lambda c: c.execute(sa.text("UPDATE people SET served = 70")))
    copy(file_at(tmp_path / "from.db"), server)
    async with open_store(server.url) as store:
        scene = Scene(store, clock, write, tmp_path)
        await scene.answered("two")
        assert await scene.rows("SELECT max(id) FROM turns") == [(41,)]
        await store.run(set_served, 1)
        assert await scene.rows("SELECT served FROM people") == [(72,)]
        await store.run(installation.next_turn, "test")  # which is rolled back or deleted, so that no row has it
    copy(server, file_at(tmp_path / "to.db"))
    async with open_store(f"sqlite:///{tmp_path}/to.db") as store:
        scene = Scene(store, clock, write, tmp_path)
        await scene.answered("three")
        assert await scene.rows("SELECT max(id) FROM turns") == [(43,)]


async def test_a_moved_file_forgets_completely(tmp_path: Path, clock: ManualClock, write: Write, server: Place) -> None:
    """After /forget in a file that was copied from a server, no byte of it has the words."""
    async with open_store(server.url) as store:
        await Scene(store, clock, write, tmp_path).answered("a canary sings")
    copy(server, file_at(tmp_path / "from.db"))
    async with open_store(f"sqlite:///{tmp_path}/from.db") as store:
        scene = Scene(store, clock, write, tmp_path)
        assert scene.files_with("canary") == ["from.db"]
        await scene.forget(ANN)
        assert await store.scrub()
        assert scene.files_with("canary") == []


@pytest.mark.parametrize("to_server", [True, False])
async def test_a_database_in_use_is_not_copied(source: Path, tmp_path: Path, server: Place, *, to_server: bool) -> None:
    """While a gateway has it open, also one that does nothing: what it accepts later would be missing in the copy."""
    target = file_at(tmp_path / "to.db")
    if not to_server:
        copy(file_at(source), server)
    place = file_at(source) if to_server else server
    async with open_store(place.url):
        with pytest.raises(CopyRefused, match="stop the bot"):
            copy(place, target)
    assert copy(place, target).contents


def test_nothing_is_copied_over(source: Path, tmp_path: Path, server: Place) -> None:
    """A target that exists, or is in use, stays as it is; so does a source that is its own target."""
    (tmp_path / "to.db").touch()
    for target in (file_at(tmp_path / "to.db"), file_at(source)):
        with pytest.raises(CopyRefused, match="exists already"):
            copy(file_at(source), target)
    copy(file_at(source), server)
    with pytest.raises(CopyRefused, match="not empty"):
        copy(file_at(source), server)


@pytest.mark.long
def test_a_server_is_not_copied_into_itself(source: Path, server: Place) -> None:
    """Nor into a database that another copy reads or writes: the lock is waited for, in vain."""
    copy(file_at(source), server)
    with pytest.raises(CopyRefused, match="stop the bot"):
        copy(server, server)


def test_only_a_database_of_this_version_is_copied(source: Path, tmp_path: Path, server: Place) -> None:
    """Not one that is missing, empty, older or newer: the reason says what to do."""
    target = file_at(tmp_path / "to.db")
    with pytest.raises(CopyRefused, match="no such file"):
        copy(file_at(tmp_path / "none.db"), target)
    with pytest.raises(CopyRefused, match="no database of parley"):
        copy(server, target)
    for version, error in (("0020", CopyRefused), ("9999", StoreTooNew)):
        with closing(sqlite3.connect(source)) as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", [version])
            connection.commit()
        with pytest.raises(error):
            copy(file_at(source), target)
    assert [file.name for file in tmp_path.iterdir()] == ["from.db"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE turns SET attempts = 4294967296", "22003"),
        ("UPDATE turns SET reply = CAST(x'6361ff' AS TEXT)", "UTF-8"),
    ],
)
def test_what_cannot_be_stored_is_not_quoted(source: Path, server: Place, change: str, says: str) -> None:
    """A value that the server has no place for ends the copy with an error that says what it is about."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute(change)
        connection.commit()
    with pytest.raises((CopyRefused, sa.exc.DBAPIError)) as raised:
        copy(file_at(source), server)
    orig = getattr(raised.value, "orig", raised.value)
    assert says in str(getattr(orig, "sqlstate", orig))
    assert tables_of(server) == []


@pytest.fixture
def corrupting() -> Iterator[Callable[[str], None]]:
    """Has a statement follow the first insert into votes, as if the database had not stored what it was given."""
    statements: list[str] = []

    def corrupt(connection: sa.Connection, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO votes") and statements:
            connection.exec_driver_sql(statements.pop())

    sa.event.listen(sa.Engine, "after_cursor_execute", corrupt)
    yield statements.append
    sa.event.remove(sa.Engine, "after_cursor_execute", corrupt)


@pytest.mark.parametrize("statement", ["UPDATE turns SET reply = 'x' WHERE id = 1", "DELETE FROM events"])
def test_a_copy_that_differs_is_not_kept(
    source: Path, tmp_path: Path, server: Place, corrupting: Callable[[str], None], statement: str
) -> None:
    """One text or one row that differs is noticed, and there is no target."""
    for target in (server, file_at(tmp_path / "to.db")):
        corrupting(statement)
        with pytest.raises(CopyRefused, match="is not equal"):
            copy(file_at(source), target)
    assert tables_of(server) == []
    assert [file.name for file in tmp_path.iterdir()] == ["from.db"]


@pytest.mark.parametrize("point", ["INSERT INTO turns", "COMMIT"])
def test_a_copy_that_is_killed_leaves_nothing_to_use(source: Path, tmp_path: Path, server: Place, point: str) -> None:
    """Neither on a server nor in a file; the source is what it was, and the next try succeeds."""
    before = dump(source)
    kill(file_at(source), server, point)
    assert tables_of(server) == []
    copy(file_at(source), server)
    target = file_at(tmp_path / "to.db")
    kill(server, target, point)
    assert not target.path.exists()
    copy(server, target)
    assert dump(source) == dump(target.path) == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["from.db", "to.db"]


def kill(source: Place, target: Place, point: str) -> None:
    """Copy in a process that kills itself before a statement, or before the last commit."""
    commits = 2 if source.is_server and not target.is_server else 1
    arguments = (source.url, target.url, point, str(commits + 1 if point == "COMMIT" else 1))
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
