"""The copies that lie beside a database since a migration or a restore: a person who is forgotten goes from them too.

They have the schema of their time, so this is SQL for every schema that there was.
"""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from core.commands import ADMIN_COMMANDS
from core.store import tombstones
from core.store.copies import kept_beside

QUOTING = {"quotes": "[]", "context": ""}
"""Columns of turns that hold other people's words, with their empty value."""


def forget_in_copies(path: Path, key: bytes, buried: Mapping[bytes, float]) -> None:
    """Delete from the copies beside a database all people who were forgotten after the copy was made.

    What a crash has left of a copy, and a copy that cannot be read, is of no use and is deleted.
    """
    for copy in kept_beside(path):
        try:
            with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
                _forget(connection, key, buried)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname not in {"SQLITE_NOTADB", "SQLITE_CORRUPT"} and copy.suffix != ".partial":
                raise
            copy.unlink()


def _forget(connection: sqlite3.Connection, key: bytes, buried: Mapping[bytes, float]) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    rows = connection.execute("SELECT digest, forgotten_at FROM tombstones") if "tombstones" in tables else ()
    known: dict[bytes, float] = dict(rows)
    people = connection.execute("SELECT id, key FROM people").fetchall()
    digests = {person_id: tombstones.digest(key, name) for person_id, name in people}
    gone = [(person_id,) for person_id, digest in digests.items() if buried.get(digest, -1) > known.get(digest, -1)]
    if gone:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")  # votes go with their turns
        connection.execute("BEGIN IMMEDIATE")
        _delete(connection, gone, tables & {"votes", "turns"})
        connection.execute("COMMIT")


def _delete(connection: sqlite3.Connection, gone: list[tuple[int]], tables: set[str]) -> None:
    columns = {row[1] for row in connection.execute("PRAGMA table_info(turns)")}
    for table in tables:
        connection.executemany(f"DELETE FROM {table} WHERE person_id = ?", gone)  # noqa: S608  our own names
    connection.executemany("DELETE FROM people WHERE id = ?", gone)
    for command in ADMIN_COMMANDS:
        connection.execute("DELETE FROM turns WHERE source = 'command' AND text LIKE ?", [f"{command}%"])
    for column in columns & QUOTING.keys():
        connection.execute(f"UPDATE turns SET {column} = ?", [QUOTING[column]])  # noqa: S608
