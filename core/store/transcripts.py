"""What a person sees of a conversation: their messages and the replies, for front ends that keep no messages."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from core.delivery import Claim
from core.messages import WITHDRAWN, ConversationKey, Person
from core.store.people import id_of
from core.store.schema import turns, votes
from core.store.turns import claim_of, with_senders


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A turn as its person sees it. `vote` is theirs, 1 or -1, or 0."""

    claim: Claim
    vote: int = 0


def latest(connection: sa.Connection, conversation: ConversationKey, person: Person, limit: int) -> tuple[Shown, ...]:
    """The latest turns of a person in a conversation, oldest first."""
    theirs = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == id_of(person).scalar_subquery())
    visible = sa.and_(theirs, sa.not_(turns.c.at_desk), turns.c.error.is_distinct_from(WITHDRAWN.error))
    rows = connection.execute(with_senders().where(visible).order_by(turns.c.id.desc()).limit(limit)).all()
    cast = _votes(connection, person, [row.id for row in rows])
    return tuple(Shown(claim=claim_of(row), vote=cast.get(row.id, 0)) for row in reversed(rows))


def one(connection: sa.Connection, turn_id: int) -> Claim | None:
    """A turn, claimed or not; None if there is none any more."""
    row = connection.execute(with_senders().where(turns.c.id == turn_id)).one_or_none()
    return claim_of(row) if row else None


def _votes(connection: sa.Connection, person: Person, turn_ids: Sequence[int]) -> dict[int, int]:
    mine = sa.and_(votes.c.turn_id.in_(turn_ids), votes.c.person_id == id_of(person).scalar_subquery())
    return {row.turn_id: row.vote for row in connection.execute(sa.select(votes.c.turn_id, votes.c.vote).where(mine))}
