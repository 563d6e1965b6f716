"""People's votes on answers."""

import sqlalchemy as sa

from core.messages import Person
from core.store.people import find_or_add
from core.store.schema import votes


def cast(connection: sa.Connection, turn_id: int, person: Person, vote: int, now: float) -> bool:
    """Record a vote on a turn, 1 or -1, instead of an earlier one. Returns False if it was the same."""
    assert vote in {1, -1}
    voter = find_or_add(connection, person)
    mine = sa.and_(votes.c.turn_id == turn_id, votes.c.person_id == voter.id)
    if connection.scalar(sa.select(votes.c.vote).where(mine)) == vote:
        return False
    connection.execute(votes.delete().where(mine))
    connection.execute(votes.insert().values(turn_id=turn_id, person_id=voter.id, vote=vote, cast_at=now))
    return True
