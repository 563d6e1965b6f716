"""Gateways of two versions of the program use one PostgreSQL database while it is upgraded."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from structlog.testing import capture_logs

from core.errors import StoreTooNew
from core.side_by_side import SIDE_BY_SIDE
from core.store import advisory_locks, open_store
from core.store.indexes import build_indexes, missing
from core.store.migrate import SCRIPTS, migrate, oldest_program
from core.store.postgresql import make_engine, prepare
from core.store.schema import metadata
from tests.core.store import small_gateway
from tests.core.store.schemas import described, make_old, what_breaks
from tests.postgresql import new_schema

ROOT = Path(__file__).parents[3]
COLUMN = 'sa.Column("weight", sa.Integer, nullable=False, default=7, server_default="1"),'
TABLE = """
notes = sa.Table(
    "notes", metadata,
    sa.Column("person_id", sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    sa.Index("notes_person", "person_id"),
)
sa.Index("turns_weight", turns.c.weight)
"""
MIGRATION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None
def upgrade():
    op.add_column("turns", sa.Column("weight", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "notes", sa.Column("person_id", sa.Integer, sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True)
    )
"""
SCRIPT = ScriptDirectory(str(SCRIPTS))


@contextmanager
def connected(url: str) -> Iterator[sa.Engine]:
    engine = make_engine(url)
    try:
        yield engine
    finally:
        engine.dispose()


@pytest.fixture
def old() -> Iterator[sa.Engine]:
    """A database of the first version that has PostgreSQL."""
    with new_schema() as url, connected(url) as engine:
        with engine.begin() as connection:
            make_old(connection)
        yield engine


def test_an_old_database_gets_the_present_schema(old: sa.Engine) -> None:
    """The migrations and the indexes that are built after them lead to the schema of a new database."""
    prepare(old)
    build_indexes(old)
    with old.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), metadata)
        oldest = connection.scalar(sa.text("SELECT oldest_program FROM installation"))
    assert [difference for difference in found if "rowid" not in str(difference)] == []
    assert oldest == oldest_program(SCRIPT)


def test_migrations_only_add(old: sa.Engine) -> None:
    """Each leaves the programs of the version before what they use, unless it says which programs it needs."""
    revisions = [script for script in reversed([*SCRIPT.walk_revisions()]) if script.revision > "0021"]
    assert revisions
    for script in revisions:
        with old.begin() as connection:
            before = described(connection)
            migrate(connection, script.revision)
            broken = what_breaks(before, described(connection))
        assert hasattr(script.module, "oldest_program") or not broken, f"{script.revision}: {broken}"


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("DROP TABLE votes", "votes is gone"),
        ("ALTER TABLE people DROP COLUMN hint", "column hint is gone"),
        ("ALTER TABLE people RENAME COLUMN hint TO tip", "column hint is gone"),
        ("ALTER TABLE people ADD COLUMN age INTEGER NOT NULL", "column age must be given"),
        ("ALTER TABLE people ALTER COLUMN served TYPE BIGINT", "column served is another one"),
        ("ALTER TABLE people ALTER COLUMN locale SET DEFAULT 'en'", "column locale is another one"),
        ("ALTER TABLE people ALTER COLUMN hint SET NOT NULL", "column hint is another one"),
        ("ALTER TABLE people ADD CONSTRAINT young CHECK (served < 9)", "constraint young"),
        ("ALTER TABLE votes ADD CONSTRAINT once UNIQUE (vote)", "constraint once"),
        ("CREATE INDEX slow ON turns (text)", "index slow"),
        ("DROP INDEX turns_dead", "index turns_dead"),
        ("CREATE TABLE notes (of INTEGER CONSTRAINT ofs REFERENCES people (id))", "ofs keeps rows of people"),
        ("ALTER TABLE people ADD COLUMN age INTEGER", ""),
        ("ALTER TABLE people ADD COLUMN age INTEGER NOT NULL DEFAULT 1", ""),
        ("CREATE TABLE notes (of INTEGER REFERENCES people (id) ON DELETE CASCADE)", ""),
        ("CREATE TABLE notes (text TEXT NOT NULL UNIQUE)", ""),
    ],
)
def test_what_takes_something_away_is_noticed(postgresql: sa.Engine, change: str, broken: str) -> None:
    """Of each change that a migration may make it is known whether it breaks programs of the version before."""
    with postgresql.connect() as connection:
        before = described(connection)
        connection.exec_driver_sql(change)
        found = what_breaks(before, described(connection))
        connection.rollback()
    assert [broken in what for what in found] == [True] if broken else found == []


@pytest.fixture(scope="module")
def next_version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that is newer than this one: a column and a table more."""
    folder = tmp_path_factory.mktemp("next")
    for package in ("core", "config"):
        shutil.copytree(ROOT / package, folder / package)
    schema = folder / "core/store/schema.py"
    text = schema.read_text()
    first = 'sa.Column("kind", Text, nullable=False),\n    sa.Column("text"'
    assert text.count(first) == 1
    schema.write_text(text.replace(first, COLUMN + first) + TABLE)
    migration = MIGRATION.format(head=SCRIPT.get_current_head())
    (folder / "core/store/migrations/versions/m9999_weights.py").write_text(migration)
    return folder


@contextmanager
def running(program: Path, url: str) -> Iterator[Callable[[str], None]]:
    """A small gateway of another version, in its process. Yields what has it do something."""
    command = [sys.executable, str(ROOT / "tests/core/store/small_gateway.py"), url]
    environment = {**os.environ, "PYTHONPATH": str(program)}
    with subprocess.Popen(
        command, cwd=program, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:

        def until_done() -> None:
            assert process.stdout is not None
            assert "done\n" in process.stdout  # after what is logged

        def do(line: str) -> None:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
            until_done()

        until_done()
        yield do
        assert process.stdin is not None
        process.stdin.close()


async def test_two_versions_answer_each_others_messages(next_version: Path) -> None:
    """A gateway goes on while a newer one migrates the database, and can be started again afterwards."""
    with new_schema() as url:
        async with open_store(url, beside=SIDE_BY_SIDE) as store:
            await small_gateway.accept(store, "ann", 6)
            await small_gateway.answer(store, 6)  # so often that the server has prepared its plans
            with running(next_version, url) as newer:
                await small_gateway.accept(store, "bob", 6)
                newer("answer 6")
                newer("accept cid 6")
                await small_gateway.answer(store, 6)
                async with open_store(url, beside=SIDE_BY_SIDE) as again:
                    newer("accept dan 6")
                    await small_gateway.answer(again, 6)
            found = await store.read(
                lambda c: c.execute(
                    sa.text("SELECT weight, state, count(*) FROM turns GROUP BY weight, state ORDER BY weight")
                ).all()
            )
            assert [tuple(row) for row in found] == [(1, "delivered", 12), (7, "delivered", 12)]
            assert await store.read(lambda c: c.scalar(sa.text("SELECT version_num FROM alembic_version"))) == "9999"
            assert await store.read(lambda c: c.scalar(sa.text("SELECT 'turns_weight'::regclass IS NOT NULL")))


async def test_a_program_that_is_too_old_does_not_start(empty_postgresql: str) -> None:
    """If the newer schema has taken something away, this one is told so; and if it does not say."""
    for oldest in ("9998", ""):
        async with open_store(empty_postgresql) as store:
            kept = await store.read(lambda c: c.scalar(sa.text("SELECT version_num FROM alembic_version")))
            set_version(empty_postgresql, "9999", oldest)
        try:
            with pytest.raises(StoreTooNew, match="9999"):
                async with open_store(empty_postgresql):
                    pass
        finally:
            set_version(empty_postgresql, str(kept), "0022")


def set_version(url: str, number: str, oldest: str) -> None:
    with connected(url) as engine, engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = :number"), {"number": number})
        connection.execute(sa.text("UPDATE installation SET oldest_program = :oldest"), {"oldest": oldest})


def test_a_migration_that_waits_lets_messages_pass(old: sa.Engine) -> None:
    """It gives up its place after a second, while somebody reads the table that it changes, and tries again later."""
    reader = old.connect()
    reader.exec_driver_sql("SELECT * FROM installation")
    passed = []

    def later(_seconds: float) -> None:
        with old.begin() as connection:  # a message, which would wait behind the migration
            connection.exec_driver_sql("UPDATE installation SET checked_at = 1")
        passed.append("message")
        reader.close()

    begun = time.monotonic()
    prepare(old, later)
    assert passed == ["message"]
    assert time.monotonic() - begun < 4


def test_missing_indexes_are_built(old: sa.Engine) -> None:
    """Also one whose building was broken off; one gateway builds them, and another one goes on meanwhile."""
    prepare(old)
    with old.begin() as connection:
        connection.exec_driver_sql("DROP INDEX turns_dead, turns_commands")
        connection.exec_driver_sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'turns_open'::regclass")
    with old.connect() as other, capture_logs() as logs:
        assert other.scalar(advisory_locks.INDEX)
        build_indexes(old)
        assert logs == []
        other.exec_driver_sql("SELECT pg_advisory_unlock_all()")
        build_indexes(old)
    assert sorted(entry["index"] for entry in logs) == ["turns_commands", "turns_dead", "turns_open"]
    with old.connect() as connection:
        assert missing(connection) == []


def test_messages_pass_while_an_index_is_built(old: sa.Engine) -> None:
    """Building waits for the transactions that run, and no transaction waits for it."""
    prepare(old)
    with old.begin() as connection:
        connection.exec_driver_sql("DROP INDEX people_served")
    with old.connect() as running, ThreadPoolExecutor(1) as threads:
        running.exec_driver_sql("UPDATE people SET served = 1")
        building = threads.submit(build_indexes, old)
        while not waiting_for_locks(old):
            assert not building.done()
        with old.begin() as message:
            message.exec_driver_sql("UPDATE people SET served = 2")
        assert not building.done()
        running.commit()
        building.result()
    with old.connect() as connection:
        assert missing(connection) == []


def waiting_for_locks(engine: sa.Engine) -> int:
    name = "application_name = current_setting('application_name')"
    with engine.connect() as connection:
        query = f"SELECT count(*) FROM pg_stat_activity WHERE {name} AND wait_event_type = 'Lock'"
        return int(connection.exec_driver_sql(query).scalar_one())
