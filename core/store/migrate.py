"""Migrates a database to the current schema with Alembic."""

import secrets
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from core.errors import StoreTooNew
from core.store.copies import BEFORE_MIGRATION, beside, copy
from core.store.schema import installation, metadata

SCRIPTS = Path(__file__).parent / "migrations"
KEY_BYTES = 32
FIRST_TO_LOOK = "0022"
"""The schema of the first program that can use databases of newer ones."""


def migrate(connection: sa.Connection, revision: str = "head", *, path: Path | None = None) -> None:
    """Apply every migration up to `revision` that the database lacks, within the caller's transaction.

    A database at `path` that has content is copied first: to "parley.db.before-0011", if it will have that schema. One
    that a newer version of the program has migrated is left as it is. Raises StoreTooNew if this one cannot use it.
    """
    config = _config(connection)
    scripts = ScriptDirectory.from_config(config)
    present, head = schema_of(connection), scripts.get_current_head()
    assert head is not None
    if present and present not in {script.revision for script in scripts.walk_revisions()}:
        if not "" < _oldest_program(connection) <= head:
            raise StoreTooNew(present)
        return
    if present == head and revision == "head":
        return
    if path and present not in {None, head}:
        copy(path, beside(path, BEFORE_MIGRATION, head))
    command.upgrade(config, revision)
    if revision == "head":
        connection.execute(installation.update().values(oldest_program=oldest_program(scripts)))


def migrate_or_create(connection: sa.Connection) -> None:
    """Migrate a database; in a new one, make the tables as they are now. Raises StoreTooNew."""
    if sa.inspect(connection).has_table("alembic_version"):
        migrate(connection)
        return
    config = _config(connection)
    metadata.create_all(connection, checkfirst=False)
    values = {"id": 1, "key": secrets.token_bytes(KEY_BYTES), "last_turn": 0, "checked_at": 0.0}
    oldest = oldest_program(ScriptDirectory.from_config(config))
    connection.execute(installation.insert().values(**values, oldest_program=oldest))
    command.stamp(config, "head")


def oldest_program(scripts: ScriptDirectory) -> str:
    """The schema of the oldest program that can use a database with the newest one.

    A migration that takes something away from older programs says so in its constant `oldest_program`.
    """
    stated = (getattr(script.module, "oldest_program", FIRST_TO_LOOK) for script in scripts.walk_revisions())
    return max(stated)


def schema_of(connection: sa.Connection) -> str | None:
    """The schema that a database has; None if it is new."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def current_schema() -> str | None:
    """The schema that this version of the program works with."""
    return ScriptDirectory(str(SCRIPTS)).get_current_head()


def _config(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _oldest_program(connection: sa.Connection) -> str:
    return str(connection.execute(sa.select(installation.c.oldest_program)).scalar_one())
