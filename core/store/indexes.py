"""Builds the indexes that a PostgreSQL database lacks after a migration, while gateways read and write its tables.

A migration would keep all of them from writing until it ends. Without an index everything works, only slower.
"""

import sqlalchemy as sa
import structlog
from sqlalchemy.schema import CreateIndex

from core.store import advisory_locks
from core.store.schema import metadata

VALID = sa.text(
    "SELECT relname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE indisvalid AND relnamespace = current_schema::regnamespace"
)
log = structlog.get_logger()


def build_indexes(engine: sa.Engine) -> None:
    """Build what is missing, and what was begun and not finished. One gateway does so; others go on without it.

    A failure is logged, and the next start tries again.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not missing(connection):
            return
        connection.detach()  # its end gives the lock back
        if connection.scalar(advisory_locks.INDEX):
            for index in missing(connection):
                _try_to_build(connection, index)


def missing(connection: sa.Connection) -> list[sa.Index]:
    """The indexes of the schema that the database lacks, made so that they are built beside transactions."""
    present = set(connection.scalars(VALID))
    tables = [table.to_metadata(sa.MetaData()) for table in metadata.sorted_tables]
    found = [index for table in tables for index in table.indexes if index.name not in present]
    for index in found:
        index.dialect_options["postgresql"]["concurrently"] = True
    return found


def _try_to_build(connection: sa.Connection, index: sa.Index) -> None:
    """Transactions that run are waited for as long as for any lock."""
    try:
        connection.exec_driver_sql(f'DROP INDEX CONCURRENTLY IF EXISTS "{index.name}"')
        connection.execute(CreateIndex(index))
        log.info("index built", index=index.name)
    except sa.exc.DBAPIError as error:
        log.warning("index not built", index=index.name, error=type(error.orig).__name__)
