"""Moves a whole database, from a file to a server or back: everything or nothing, compared before it counts."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from core.errors import CopyRefused, StoreLocked, StoreTooNew
from core.store import postgresql, sqlite
from core.store.checking import CHECK, judge
from core.store.copies import settle
from core.store.files import remove, sync
from core.store.migrate import current_schema, migrate_or_create, schema_of
from core.store.portable import POSTGRESQL
from core.store.rows import Contents, Reading, copy_rows
from core.store.schema import installation, metadata
from core.store.translation import store_error

IN_USE = "another program is using it; stop the bot first"
PATIENCE = sa.text("SET LOCAL idle_in_transaction_session_timeout = '1h'")
"""While one database is read, the other one waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database: its URL, and its name without a password."""

    url: str
    name: str

    @property
    def is_server(self) -> bool:
        return sa.make_url(self.url).get_backend_name() == POSTGRESQL

    @property
    def path(self) -> Path:
        return Path(sa.make_url(self.url).database or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What both databases hold now, and the number of `changed` texts, which have lost a NUL."""

    contents: Sequence[Contents]
    changed: int


def copy(source: Place, target: Place) -> Copied:
    """Copy everything from a database that no gateway uses into one that is new. The source stays as it is.

    Raises CopyRefused, StoreError, OSError, and errors of the database.
    """
    try:
        with _source(source) as reading, _target(target) as writing:
            return _copied(Reading(connection=reading, for_postgresql=target.is_server), writing, target)
    except UnicodeDecodeError:
        raise CopyRefused(source.name, "a text in it is not UTF-8") from None


def _copied(source: Reading, writing: sa.Connection, target: Place) -> Copied:
    """Raises CopyRefused if the two databases do not hold the same after it."""
    writing.execute(installation.delete())
    copy_rows(source, writing)
    wanted = source.contents()
    found = Reading(connection=writing, for_postgresql=target.is_server).contents()
    for here, there in zip(wanted, found, strict=True):
        if here != there:
            raise CopyRefused(target.name, f"is not equal, and not kept: there is {there}, it should be {here}")
    return Copied(contents=found, changed=source.texts_with_nul() if target.is_server else 0)


@contextmanager
def _source(place: Place) -> Iterator[sa.Connection]:
    """A database that is read in one transaction. Raises CopyRefused if it cannot be copied."""
    with _source_of_server(place) if place.is_server else _source_of_file(place) as connection:
        present = schema_of(connection)
        if present is None:
            raise CopyRefused(place.name, "there is no database of parley")
        if present > (current_schema() or ""):
            raise StoreTooNew(present)
        if present != current_schema():
            raise CopyRefused(place.name, "is of an earlier version; start the bot once on it, and stop it")
        yield connection


@contextmanager
def _source_of_server(place: Place) -> Iterator[sa.Connection]:
    with _held(place) as connection:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            connection.execute(PATIENCE)
            yield connection


@contextmanager
def _source_of_file(place: Place) -> Iterator[sa.Connection]:
    if not place.path.is_file():
        raise CopyRefused(place.name, "there is no such file")
    engine = sqlite.make_holding_engine(place.url)
    try:
        with _free(engine, place) as connection:
            judge(connection.exec_driver_sql(CHECK).scalar_one())
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _free(engine: sa.Engine, place: Place) -> Iterator[sa.Connection]:
    """A transaction in a file. Raises CopyRefused if another process has it open."""
    with engine.connect() as connection:
        with _refused_if_locked(place):
            transaction = connection.begin()
        with transaction:
            yield connection


@contextmanager
def _refused_if_locked(place: Place) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        if not isinstance(store_error(error.orig), StoreLocked):
            raise
        raise CopyRefused(place.name, IN_USE) from None


@contextmanager
def _target(place: Place) -> Iterator[sa.Connection]:
    """A new database, which is there if the body does not raise. Raises CopyRefused if there is one already."""
    with _target_on_server(place) if place.is_server else _target_in_file(place) as connection:
        yield connection


@contextmanager
def _target_on_server(place: Place) -> Iterator[sa.Connection]:
    with _held(place) as connection, connection.begin():
        connection.execute(PATIENCE)
        if {*sa.inspect(connection).get_table_names()} & {"alembic_version", *metadata.tables}:
            raise CopyRefused(place.name, "is not empty; name a new database, or a new schema in its search_path")
        migrate_or_create(connection)
        yield connection


@contextmanager
def _target_in_file(place: Place) -> Iterator[sa.Connection]:
    """The file gets its name at last. If the process is killed, "parley.db.copying" stays until the next try."""
    if place.path.exists():
        raise CopyRefused(place.name, "exists already")
    new = place.path.with_name(f"{place.path.name}.copying")
    remove(new)
    engine = sqlite.make_engine(f"sqlite:///{new}")
    try:
        sqlite.prepare(engine, new)
        with engine.begin() as connection:
            yield connection
        engine.dispose()
        settle(new)
        _name(new, place)
    finally:
        engine.dispose()
        remove(new)


def _name(new: Path, place: Place) -> None:
    try:
        os.link(new, place.path)
    except FileExistsError:
        raise CopyRefused(place.name, "exists already") from None
    sync(place.path.parent)


@contextmanager
def _held(place: Place) -> Iterator[sa.Connection]:
    """A connection to a server while no gateway has one. Raises CopyRefused if one has."""
    engine = postgresql.make_engine(place.url)
    try:
        with _refused_if_locked(place):
            opened = engine.connect()
        with opened as connection:
            if not postgresql.hold(connection):
                raise CopyRefused(place.name, IN_USE)
            yield connection
    finally:
        engine.dispose()
