"""What SQLite and PostgreSQL say differently, said once, so that every verb is one for both."""

from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction, ReturnTypeFromArgs

T = TypeVar("T")

SQLITE, POSTGRESQL = "sqlite", "postgresql"


class Text(sa.Text):
    """Text that is compared byte by byte, whatever the collation of a PostgreSQL database: SQLite does so too."""


class Greatest(ReturnTypeFromArgs[T]):
    """The greatest of several values, none of which is NULL."""

    name = "greatest"
    inherit_cache = True


class Least(ReturnTypeFromArgs[T]):
    """The least of several values, none of which is NULL."""

    name = "least"
    inherit_cache = True


class Unindexed(ReturnTypeFromArgs[T]):
    """A column for which SQLite is to use no index, because another one is better."""

    name = "unindexed"
    inherit_cache = True


class Numbers(sa.TypeDecorator[list[float]]):
    """What `Listed` returns: JSON from SQLite, a list from PostgreSQL, and NULL from it if there are none."""

    impl = sa.JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return dialect.type_descriptor(postgresql.ARRAY(sa.Float) if dialect.name == POSTGRESQL else sa.JSON())

    def process_result_value(self, value: list[float] | None, dialect: sa.Dialect) -> list[float]:  # noqa: ARG002
        return value or []


class Listed(GenericFunction[list[float]]):
    """All values of a group, in a list."""

    name = "listed"
    inherit_cache = True
    type = Numbers()


def insert_new(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that leaves out the rows that are there already."""
    insert = postgresql.insert if connection.dialect.name == POSTGRESQL else sqlite.insert
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def partial_index(name: str, *columns: str, where: str | sa.ColumnElement[bool], unique: bool = False) -> sa.Index:
    """An index of the rows for which a condition holds."""
    condition = sa.text(where) if isinstance(where, str) else where
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


@compiles(Text, POSTGRESQL)
def _bytewise(_type: Text, _compiler: SQLCompiler, **_options: Any) -> str:  # noqa: ANN401
    return 'TEXT COLLATE "C"'


def _arguments(element: GenericFunction[Any], compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return compiler.process(element.clauses, **options)


@compiles(Greatest, SQLITE)
def _greatest(element: Greatest[Any], compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"max({_arguments(element, compiler, **options)})"


@compiles(Least, SQLITE)
def _least(element: Least[Any], compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"min({_arguments(element, compiler, **options)})"


@compiles(Unindexed, SQLITE)
def _unindexed(element: Unindexed[Any], compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"+{_arguments(element, compiler, **options)}"


@compiles(Unindexed, POSTGRESQL)
def _indexed(element: Unindexed[Any], compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return _arguments(element, compiler, **options)


@compiles(Listed, SQLITE)
def _json(element: Listed, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"json_group_array({_arguments(element, compiler, **options)})"


@compiles(Listed, POSTGRESQL)
def _array(element: Listed, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"array_agg({_arguments(element, compiler, **options)})"
