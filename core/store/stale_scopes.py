"""Scopes of the prefix cache of which words were deleted. They stay here until the model server has dropped its blocks,
so that a process that is killed before it could tell tells it after the next start.
"""

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from core.scopes import scope
from core.store.schema import people, stale_scopes, turns


def note(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Note the scopes of the turns that a condition chooses: their prompts hold words that are being deleted.

    A turn has two: whether the people of its conversation share a history is not known here.
    """
    joined = turns.join(people, people.c.id == turns.c.person_id)
    query = sa.select(turns.c.front, turns.c.conversation, people.c.key).select_from(joined).where(which)
    found = {
        (row.front, stale)
        for row in connection.execute(query)
        for stale in (scope(row.conversation, row.key), scope(row.conversation))
    }
    if found:
        connection.execute(stale_scopes.insert(), [{"front": front, "scope": stale} for front, stale in sorted(found)])


def pending(connection: sa.Connection, fronts: Collection[str], limit: int) -> Mapping[int, str]:
    """Some of the scopes of these front ends, by the number of their note. One may be noted several times."""
    theirs = sa.select(stale_scopes.c.id, stale_scopes.c.scope).where(stale_scopes.c.front.in_(fronts))
    return {row.id: row.scope for row in connection.execute(theirs.order_by(stale_scopes.c.id).limit(limit))}


def remove(connection: sa.Connection, notes: Collection[int]) -> None:
    """Delete the notes with these numbers, but none that was made since of the same scope."""
    connection.execute(stale_scopes.delete().where(stale_scopes.c.id.in_(notes)))
