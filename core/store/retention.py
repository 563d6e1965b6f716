"""Deletion of what is older than it may be kept, in small steps: a message waits for one of them at most.

How old something is, is counted from the time that `look` returns, not from the clock's: that may be wrong.
"""

import sqlalchemy as sa

from core.store.portable import Greatest
from core.store.removal import remove_turns
from core.store.schema import handoffs, installation, people, turns, votes
from core.store.states import DELIVERED

LOOKS_APART = 43_200.0
"""Seconds between two looks for old records, at least. A process looks when it starts and then daily."""


def look(connection: sa.Connection, now: float) -> float | None:
    """The latest time that may be believed when old records are looked for; None if they were a moment ago.

    It is that of the look before, if the clock has gone on since. So a clock that is far ahead at one look, and right
    at the next, deletes nothing too early.
    """
    looked_at: float = connection.execute(sa.select(installation.c.looked_at)).scalar_one()
    if 0 <= now - looked_at < LOOKS_APART:
        return None
    connection.execute(installation.update().values(looked_at=now))
    return min(now, looked_at)


def purge_turns(connection: sa.Connection, before: float, limit: int | None) -> int:
    """Delete delivered turns that were sent and accepted before a time, and the votes on them; the number of turns.

    The time at which a message was sent is its platform's, so that a clock that was far behind makes nothing old.
    """
    is_old = sa.and_(turns.c.accepted_at < before, turns.c.sent_at < before)
    return remove_turns(connection, sa.and_(is_old, turns.c.state == DELIVERED), limit)


def purge_people(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete people of whom nothing else is left, and from whom nothing has come since a time; returns their number.

    Those on whom an administrator has decided stay.
    """
    is_quiet = Greatest(people.c.throttled_until, people.c.noticed_at, people.c.asked_at) < before
    has_turns = sa.exists().where(turns.c.person_id == people.c.id)
    has_votes = sa.exists().where(votes.c.person_id == people.c.id)
    has_handoffs = sa.exists().where(handoffs.c.person_id == people.c.id)
    is_empty = sa.and_(~has_turns, ~has_votes, ~has_handoffs)
    chosen = sa.select(people.c.id).where(is_quiet, people.c.admitted.is_(None), is_empty).limit(limit)
    return connection.execute(people.delete().where(people.c.id.in_(chosen))).rowcount
