"""What a migration takes away from the programs of the version before, which are still running."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

OLD = (Path(__file__).parent / "schema_0021.sql").read_text()
"""A PostgreSQL database of the first version that has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as the server describes it: its columns and foreign keys, and the names of its indexes and checks."""

    columns: dict[str, dict[str, Any]]
    foreign_keys: dict[str, dict[str, Any]]
    indexes: set[str]
    rules: set[str]


def make_old(connection: sa.Connection) -> None:
    """The tables of version 0021, in an empty schema."""
    connection.exec_driver_sql(OLD)
    connection.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('0021')")
    connection.exec_driver_sql("INSERT INTO installation (id, key, last_turn, checked_at) VALUES (1, 'k', 0, 0)")


def described(connection: sa.Connection) -> dict[str, Table]:
    """All tables of the schema."""
    inspector = sa.inspect(connection)
    return {name: _table(inspector, name) for name in inspector.get_table_names()}


def _table(inspector: sa.Inspector, name: str) -> Table:
    constraints = [*inspector.get_unique_constraints(name), *inspector.get_check_constraints(name)]
    return Table(
        columns={str(column["name"]): dict(column) for column in inspector.get_columns(name)},
        foreign_keys={str(key["name"]): dict(key) for key in inspector.get_foreign_keys(name)},
        indexes={str(index["name"]) for index in inspector.get_indexes(name) if "duplicates_constraint" not in index},
        rules={str(constraint["name"]) for constraint in constraints},
    )


def what_breaks(before: dict[str, Table], after: dict[str, Table]) -> list[str]:
    """What a program that knows the tables of before cannot do with those of after, in a few words each.

    An index of a table that exists is among it, because messages would wait until it is built.
    """
    gone = [f"{name} is gone" for name in before.keys() - after.keys()]
    known = [f"{name}: {what}" for name in before.keys() & after.keys() for what in _changes(before[name], after[name])]
    new = [f"{name}: {what}" for name in after.keys() - before.keys() for what in _keeps_rows(after[name])]
    return sorted(gone + known + new)


def _changes(before: Table, after: Table) -> Iterator[str]:
    for name in before.columns.keys() - after.columns.keys():
        yield f"column {name} is gone"
    for name, column in after.columns.items():
        if name not in before.columns and not (column["nullable"] or column["default"]):
            yield f"column {name} must be given"
        if name in before.columns and _kind(before.columns[name]) != _kind(column):
            yield f"column {name} is another one"
    for name in before.indexes ^ after.indexes:
        yield f"index {name}"
    for name in (before.rules | before.foreign_keys.keys()) ^ (after.rules | after.foreign_keys.keys()):
        yield f"constraint {name}"


def _kind(column: dict[str, Any]) -> tuple[str, bool, object]:
    return str(column["type"]), column["nullable"], column["default"]


def _keeps_rows(table: Table) -> Iterator[str]:
    """An old program that forgets a person does not know of what hangs on them."""
    for name, key in table.foreign_keys.items():
        if not key["options"].get("ondelete"):
            yield f"{name} keeps rows of {key['referred_table']} from being deleted"
