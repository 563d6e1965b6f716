"""Deletion of what is older than it may be kept, in small steps: a message waits for one of them at most."""

import sqlalchemy as sa

from core.store.removal import remove_turns
from core.store.schema import people, turns, votes
from core.store.turns import DELIVERED


def purge_turns(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete delivered turns that were accepted before a time, and the votes on them; returns the number of turns."""
    return remove_turns(connection, sa.and_(turns.c.accepted_at < before, turns.c.state == DELIVERED), limit)


def purge_people(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete people of whom nothing else is left, and from whom nothing has come since a time; returns their number.

    Those on whom an administrator has decided stay.
    """
    is_quiet = sa.func.max(people.c.throttled_until, people.c.noticed_at, people.c.asked_at) < before
    has_turns = sa.exists().where(turns.c.person_id == people.c.id)
    has_votes = sa.exists().where(votes.c.person_id == people.c.id)
    chosen = sa.select(people.c.id).where(is_quiet, people.c.admitted.is_(None), ~has_turns, ~has_votes).limit(limit)
    return connection.execute(people.delete().where(people.c.id.in_(chosen))).rowcount
