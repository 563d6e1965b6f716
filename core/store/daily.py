"""Counts what happened in a span of time, from which the figures of `core/daily.py` are made."""

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

import sqlalchemy as sa

from core.daily import SOURCES, Tally
from core.messages import ANSWERS, WITHDRAWN, Label, Source
from core.store.outcomes import BROKEN, thumbs
from core.store.portable import Listed
from core.store.schema import handoffs, turns

K = TypeVar("K")

IS_MESSAGE = sa.and_(
    turns.c.handoff_id.is_(None),
    turns.c.error.is_distinct_from(WITHDRAWN.error),
    sa.not_(turns.c.leaving),
    sa.or_(
        turns.c.text != "", turns.c.source.is_distinct_from(Source.COMMAND)
    ),  # what the bot says unasked has no text
)
IS_ANSWER = sa.and_(turns.c.source.in_(ANSWERS), turns.c.finish.not_in(BROKEN))
IS_TIMED = sa.and_(turns.c.source == Source.MODEL, turns.c.seconds > 0, turns.c.completion_tokens > 0)


def count(connection: sa.Connection, since: float, until: float) -> int:
    """The number of all turns in a span, which tells how long counting them takes."""
    return connection.execute(sa.select(sa.func.count()).where(_accepted(since, until))).scalar_one()


def tally(connection: sa.Connection, since: float, until: float) -> Tally:
    """What happened from `since` to before `until`, in UTC epoch seconds.

    The database reads each turn of the span once, and hands over a row for each source and mood.
    """
    rows = connection.execute(_grouped(since, until)).all()
    return Tally(
        messages=sum(row.messages for row in rows),
        replies=_counted((Source(row.source), row.messages) for row in rows if row.source in SOURCES),
        moods=_counted((Label(row.mood_label), row.messages) for row in rows if row.mood_label),
        waits=array("d", (seconds for row in rows for seconds in row.waits)),
        first_pieces=array("d", (seconds for row in rows for seconds in row.first_pieces)),
        tokens=sum(row.tokens for row in rows),
        seconds=sum(row.seconds for row in rows),
        up=sum(row.up for row in rows),
        down=sum(row.down for row in rows),
        handoffs=_handoffs(connection, since, until),
    )


def _grouped(since: float, until: float) -> sa.Select[tuple[object, ...]]:
    is_awaited = sa.and_(IS_ANSWER, sa.not_(turns.c.revised))
    has_first_piece = sa.and_(IS_ANSWER, turns.c.source == Source.MODEL, turns.c.first_piece.is_not(None))
    columns = (
        *(turns.c.source, turns.c.mood_label, sa.func.count().label("messages")),
        Listed(turns.c.finished_at - turns.c.accepted_at).filter(is_awaited).label("waits"),
        Listed(turns.c.first_piece).filter(has_first_piece).label("first_pieces"),
        sa.func.coalesce(sa.func.sum(turns.c.completion_tokens).filter(IS_TIMED), 0).label("tokens"),
        sa.func.coalesce(sa.func.sum(turns.c.seconds).filter(IS_TIMED), 0.0).label("seconds"),
        *(sa.func.sum(thumbs(1)).label("up"), sa.func.sum(thumbs(-1)).label("down")),
    )
    return sa.select(*columns).where(_accepted(since, until), IS_MESSAGE).group_by(turns.c.source, turns.c.mood_label)


def _accepted(since: float, until: float) -> sa.ColumnElement[bool]:
    return sa.and_(turns.c.accepted_at >= since, turns.c.accepted_at < until)


def _counted(counts: Iterable[tuple[K, int]]) -> Counter[K]:
    counted: Counter[K] = Counter()
    for key, many in counts:
        counted[key] += many
    return counted


def _handoffs(connection: sa.Connection, since: float, until: float) -> int:
    opened = sa.and_(handoffs.c.opened_at >= since, handoffs.c.opened_at < until)
    return connection.execute(sa.select(sa.func.count()).select_from(handoffs).where(opened)).scalar_one()
