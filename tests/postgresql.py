"""A PostgreSQL database for tests: the one that TEST_POSTGRESQL_URL names, with a schema for each process of tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
import sqlalchemy as sa

from core.store.schema import installation, metadata

SERVER = sa.make_url(os.environ.get("TEST_POSTGRESQL_URL", "postgresql+psycopg://127.0.0.1/test"))


@contextmanager
def new_schema() -> Iterator[str]:
    """The URL of a schema that is dropped in the end. Skips the test if no server answers, and fails it in CI."""
    engine = sa.create_engine(SERVER, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    name = f"parley_{uuid4().hex}"
    try:
        _execute(engine, f"CREATE SCHEMA {name}")
    except sa.exc.OperationalError as error:
        _unreachable(str(error.orig))
    try:
        yield url_of(name)
    finally:
        _execute(engine, f"DROP SCHEMA {name} CASCADE")


def url_of(schema: str) -> str:
    """The URL of a schema, where a commit does not wait for the disk."""
    options = f"-csearch_path={schema} -csynchronous_commit=off"
    found = SERVER.update_query_dict({"options": options, "application_name": schema})
    return found.render_as_string(hide_password=False)


def empty(engine: sa.Engine) -> None:
    """Delete everything from the tables of a store. Deleting is faster than truncating tables of a few rows."""
    tables = [table.name for table in reversed(metadata.sorted_tables) if table is not installation]
    ids = ("turns_id_seq", "people_id_seq", "handoffs_id_seq", "keys_id_seq")
    statements = [
        *(f"DELETE FROM {table}" for table in tables),
        *(f"ALTER SEQUENCE {sequence} RESTART" for sequence in ids),
        "UPDATE installation SET checked_at = 0, looked_at = 0, password = ''",
    ]
    with engine.begin() as connection:
        connection.exec_driver_sql("; ".join(statements))


def _unreachable(reason: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(f"no PostgreSQL for tests: {reason}")
    pytest.skip(f"no PostgreSQL for tests: {reason}")


def _execute(engine: sa.Engine, statement: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
