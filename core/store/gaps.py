"""Questions that the bot could not answer well: derived from the stored turns, so that /forget covers them."""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from core.messages import ANSWERS, Locale
from core.store.schema import handoffs, turns, votes

IS_REFUSED = turns.c.error == "not_known"


class Sign(StrEnum):
    """What shows that an answer was missing."""

    REFUSED = "refused"  # nothing was known
    VOTED_DOWN = "voted down"
    HANDED_OVER = "handed over"  # a person was asked after it


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """The question of a turn, in the language in which the person is spoken to, and what was wrong with its answer."""

    turn_id: int
    text: str
    locale: Locale
    sign: Sign


def missed(connection: sa.Connection, limit: int) -> list[Missed]:
    """The latest questions without a good answer, the latest first. Each counts once."""
    refused = sa.select(turns.c.id, sa.literal(Sign.REFUSED).label("sign")).where(IS_REFUSED)
    down = sa.select(votes.c.turn_id, sa.literal(Sign.VOTED_DOWN)).where(votes.c.vote < 0)
    asked = sa.select(_last_answered(), sa.literal(Sign.HANDED_OVER))
    signs = sa.union_all(refused, down, asked).subquery()
    query = (
        sa.select(turns.c.id, turns.c.text, turns.c.locale, sa.func.min(signs.c.sign).label("sign"))
        .join(signs, signs.c.id == turns.c.id)
        .where(turns.c.text != "")
        .group_by(turns.c.id)
        .order_by(turns.c.id.desc())
        .limit(limit)
    )
    return [
        Missed(turn_id=row.id, text=row.text, locale=row.locale, sign=Sign(row.sign))
        for row in connection.execute(query)
    ]


def count(connection: sa.Connection, since: float, until: float) -> int:
    """The number of questions without a good answer that were asked from `since` to before `until`."""
    here = sa.and_(turns.c.accepted_at >= since, turns.c.accepted_at < until, turns.c.text != "")
    is_voted_down = sa.exists().where(votes.c.turn_id == turns.c.id, votes.c.vote < 0)
    is_gap = sa.or_(IS_REFUSED, is_voted_down, turns.c.id.in_(sa.select(_last_answered())))
    return connection.scalar(sa.select(sa.func.count()).where(here, is_gap)) or 0


def _last_answered() -> sa.ScalarSelect[int]:
    """The customer's last answered question before each hand-off."""
    theirs = sa.and_(turns.c.person_id == handoffs.c.person_id, turns.c.conversation == handoffs.c.conversation)
    before = sa.and_(turns.c.accepted_at <= handoffs.c.opened_at, turns.c.source.in_(ANSWERS))
    query = sa.select(sa.func.max(turns.c.id)).where(theirs, before)
    return query.correlate(handoffs).scalar_subquery()
