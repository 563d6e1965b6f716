"""Deletion of turns. SQLite overwrites deleted content, but the write-ahead log has it until it is truncated."""

import sqlalchemy as sa

from core.store import installation, stale_scopes
from core.store.schema import turns

LEFT_WORDS = "left words"
"""Set in a connection's `info` if its transaction has deleted words."""
ALL = None
"""The limit of a query without one."""


def remove_turns(connection: sa.Connection, which: sa.ColumnElement[bool], limit: int | None = ALL) -> int:
    """Delete turns that a condition chooses, and the votes on them. Returns their number.

    The model server is told later to forget the prompts of their conversations.
    """
    installation.note_last_turn(connection)
    chosen = sa.select(turns.c.id).where(which).limit(limit)
    stale_scopes.note(connection, turns.c.id.in_(chosen))
    removed = connection.execute(turns.delete().where(turns.c.id.in_(chosen))).rowcount
    if removed:
        note_words(connection)
    return removed


def note_words(connection: sa.Connection) -> None:
    """Have the write-ahead log truncated after the transaction, since it deletes words."""
    connection.info[LEFT_WORDS] = True


def has_left_words(connection: sa.Connection) -> bool:
    """Whether words were deleted since this was last asked."""
    return bool(connection.info.pop(LEFT_WORDS, False))
