"""The questions and hand-offs of a span of time, from which the figures of `core/outcomes.py` are made."""

from collections.abc import Iterator

import sqlalchemy as sa

from core.messages import ANSWERS, Finish, Source
from core.outcomes import CASE_PAUSE, REOPENED_WITHIN, Asked, HandedOver, Outcomes, outcomes
from core.store import gaps
from core.store.schema import handoffs, turns, votes

BROKEN = (Finish.ERROR, Finish.TIMEOUT)


def measure(connection: sa.Connection, since: float, until: float) -> Outcomes:
    """The outcomes from `since` to before `until`, in UTC epoch seconds."""
    return outcomes(
        _asked(connection, since, until),
        _handed_over(connection, since, until),
        gaps.count(connection, since, until),
        since=since,
        until=until,
    )


def _asked(connection: sa.Connection, since: float, until: float) -> Iterator[Asked]:
    is_question = sa.and_(
        turns.c.handoff_id.is_(None), turns.c.text != "", sa.func.coalesce(turns.c.source, "") != Source.COMMAND
    )
    is_near = sa.and_(turns.c.accepted_at >= since - REOPENED_WITHIN, turns.c.accepted_at < until)
    query = (
        sa.select(
            *(turns.c.person_id, turns.c.conversation, turns.c.accepted_at, turns.c.finished_at),
            *(turns.c.source, turns.c.finish, thumbs(1).label("up"), thumbs(-1).label("down")),
        )
        .where(is_question, is_near)
        .order_by(turns.c.person_id, turns.c.conversation, turns.c.id)
    )
    for row in connection.execute(query.execution_options(yield_per=1_000)):
        yield Asked(
            person_id=row.person_id,
            conversation=row.conversation,
            at=row.accepted_at,
            seconds=None if row.finished_at is None else row.finished_at - row.accepted_at,
            source=row.source and Source(row.source),
            is_answered=row.source in ANSWERS and row.finish not in BROKEN,
            up=row.up,
            down=row.down,
        )


def thumbs(vote: int) -> sa.ScalarSelect[int]:
    """The number of such votes, 1 or -1, on a turn of a query."""
    query = sa.select(sa.func.count()).where(votes.c.turn_id == turns.c.id, votes.c.vote == vote)
    return query.correlate(turns).scalar_subquery()


def _handed_over(connection: sa.Connection, since: float, until: float) -> list[HandedOver]:
    near = handoffs.c.opened_at.between(since - REOPENED_WITHIN, until + CASE_PAUSE)
    return [
        HandedOver(
            person_id=row.person_id, conversation=row.conversation, opened_at=row.opened_at, taken_at=row.taken_at
        )
        for row in connection.execute(sa.select(handoffs).where(near))
    ]
