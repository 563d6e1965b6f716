"""All rows of a database, as plain values: copied into another one, counted, and digested."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import REGCLASS

from core.store import installation, schema
from core.store.events import ORDER
from core.store.portable import POSTGRESQL
from core.store.schema import SERVINGS, TURN_IDS, metadata

Row: TypeAlias = Sequence[Any]

BATCH = 1_000
"""Rows that are in memory at once."""
DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a table holds: the number of its rows, and a digest of them all, in their order."""

    table: str
    rows: int
    digest: str

    def __str__(self) -> str:
        return f"{self.table:<14} {self.rows:>9} {self.digest[:DIGITS]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A database whose rows are read. If it is read `for_postgresql`, its texts have no NUL, which cannot be stored."""

    connection: sa.Connection
    for_postgresql: bool

    def batches(self, table: sa.Table) -> Iterator[Sequence[Row]]:
        """All rows in their order, which is that of the primary key, or the one in which they were inserted."""
        plain = _plain(table)
        order = [ORDER] if table is schema.events else [plain.c[column.name] for column in table.primary_key]
        query = sa.select(*(self._value(column, table) for column in plain.c)).order_by(*order)
        found = self.connection.execute(query, execution_options={"yield_per": BATCH})
        for batch in found.partitions():
            yield [_without_nul(row) for row in batch] if self.for_postgresql else batch

    def contents(self) -> list[Contents]:
        """What each table holds."""
        return [self._contents(table) for table in metadata.sorted_tables]

    def texts_with_nul(self) -> int:
        """The number of texts that have a NUL: on PostgreSQL there are none."""
        counted = Reading(connection=self.connection, for_postgresql=False)
        rows = (row for table in metadata.sorted_tables for batch in counted.batches(table) for row in batch)
        return sum(isinstance(value, str) and "\0" in value for row in rows for value in row)

    def _contents(self, table: sa.Table) -> Contents:
        """Python writes each value exactly, and different ones differently."""
        hashed, rows = hashlib.sha256(), 0
        for batch in self.batches(table):
            rows += len(batch)
            for row in batch:
                hashed.update(repr(tuple(row)).encode())
        return Contents(table=table.name, rows=rows, digest=hashed.hexdigest())

    def _value(self, column: sa.ColumnClause[Any], table: sa.Table) -> sa.ColumnElement[Any]:
        """The column; for the last turn, what PostgreSQL knows from its sequence."""
        if table is schema.installation and column.name == schema.installation.c.last_turn.name:
            return sa.literal(installation.last_turn(self.connection), sa.Integer).label(column.name)
        return column


def copy_rows(source: Reading, target: sa.Connection) -> None:
    """Copy all rows into tables without any, and have the next ids follow them."""
    for table in metadata.sorted_tables:
        insert, names = _plain(table).insert(), table.columns.keys()
        for batch in source.batches(table):
            target.execute(insert, [dict(zip(names, row, strict=True)) for row in batch])
    if target.dialect.name == POSTGRESQL:
        _continue_sequences(target)


def _plain(table: sa.Table) -> sa.TableClause:
    """The table with the values as they are stored: JSON is a text."""
    return sa.table(table.name, *(sa.column(column.name, _stored_type(column)) for column in table.columns))


def _stored_type(column: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
    return column.type.impl_instance if isinstance(column.type, sa.TypeDecorator) else column.type


def _without_nul(row: Row) -> Row:
    return tuple(value.replace("\0", "") if isinstance(value, str) else value for value in row)


def _continue_sequences(target: sa.Connection) -> None:
    """Have each sequence go on after what is there. SQLite looks at the rows for that."""
    for table in metadata.sorted_tables:
        if (column := table.autoincrement_column) is not None:
            highest = sa.select(sa.func.max(column)).scalar_subquery()
            _continue(target, sa.func.pg_get_serial_sequence(table.name, column.name), highest)
    _continue(target, sa.literal(TURN_IDS.name), sa.literal(installation.last_turn(target), sa.Integer))
    _continue(target, sa.literal(SERVINGS.name), sa.select(sa.func.max(schema.people.c.served)).scalar_subquery())


def _continue(target: sa.Connection, sequence: sa.ColumnElement[str], last: sa.ColumnElement[int]) -> None:
    following = sa.func.coalesce(last, 0) + 1
    target.execute(sa.select(sa.func.setval(sa.cast(sequence, REGCLASS), following, False)))  # noqa: FBT003  it was not given yet
