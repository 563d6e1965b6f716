"""Turns that could be neither answered nor apologised for. They are kept until an operator has them tried again, or
drops them.
"""

from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa

from core.apologies import UNEXPECTED, apology
from core.messages import Locale
from core.store import farewells
from core.store.schema import turns
from core.store.states import ANSWERED, DEAD, DELIVERED, WAITING
from core.store.turns import reply_values

IS_DEAD = turns.c.state == sa.literal_column(f"'{DEAD}'")
"""Spelled like the condition of the partial index `turns_dead`."""
ANEW = {"faults": 0, "fault": "", "attempts": 0}
PAGE = 50
"""Letters on a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A turn that was given up on. Times are UTC epoch seconds.

    If it `is_answered`, its reply could not be delivered; else it has none. `fault` says what the last try has raised,
    and where; `faults` are those tries that failed unexpectedly. The words are None unless they were asked for.
    """

    id: int
    platform: str
    accepted_at: float
    is_answered: bool
    fault: str
    attempts: int
    faults: int
    question: str | None = None
    reply: str | None = None


def letters(
    connection: sa.Connection, after: int = 0, limit: int = PAGE, *, with_words: bool = False
) -> tuple[DeadLetter, ...]:
    """A page of dead letters, oldest first, `after` the last one of the page before."""
    query = sa.select(turns.c.id, turns.c.front, turns.c.accepted_at, turns.c.fault, turns.c.attempts, turns.c.faults)
    words = (_bytes(turns.c.text).label("question"), _bytes(turns.c.reply).label("answer"))
    query = query.add_columns(turns.c.reply.is_not(None).label("is_answered"), *(words if with_words else ()))
    rows = connection.execute(query.where(IS_DEAD, turns.c.id > after).order_by(turns.c.id).limit(limit))
    return tuple(
        DeadLetter(
            id=row.id,
            platform=row.front.partition("/")[0],
            accepted_at=row.accepted_at,
            is_answered=row.is_answered,
            fault=row.fault,
            attempts=row.attempts,
            faults=row.faults,
            question=_text(row.question) if with_words else None,
            reply=_text(row.answer) if with_words else None,
        )
        for row in rows
    )


def listed(connection: sa.Connection) -> tuple[int, ...]:
    """The ids of all dead letters, oldest first."""
    return tuple(connection.scalars(sa.select(turns.c.id).where(IS_DEAD).order_by(turns.c.id)))


def count(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(turns).where(IS_DEAD)) or 0


def retry(connection: sa.Connection, turn_id: int | None = None) -> int:
    """Open one dead letter again, or all: those with a reply to be delivered, the others to be answered.

    Returns their number.
    """
    dead = turns.update().where(IS_DEAD)
    if turn_id is not None:
        dead = dead.where(turns.c.id == turn_id)
    opened = connection.execute(dead.where(turns.c.reply.is_not(None)).values(state=ANSWERED, **ANEW)).rowcount
    return opened + connection.execute(dead.values(state=WAITING, **ANEW)).rowcount


def drop(connection: sa.Connection, turn_id: int, now: float) -> bool:
    """Close a dead letter for good: it ends in an apology, which is delivered to nobody, and is no part of a history.

    Its message is kept like any other. Returns False, and changes nothing, if there is no such dead letter.
    """
    dead = sa.and_(IS_DEAD, turns.c.id == turn_id)
    locale = cast("Locale | None", connection.scalar(sa.select(turns.c.locale).where(dead)))
    if locale is None:
        return False
    sorry = apology(UNEXPECTED, locale)
    closed = {"state": DELIVERED, "tokens": 0, "remembered": False}
    connection.execute(turns.update().where(dead).values(reply_values(sorry, now) | closed))
    farewells.leave(connection, turn_id)
    return True


def _bytes(column: sa.ColumnElement[str]) -> sa.ColumnElement[bytes]:
    """The column as it is stored: the words of a damaged store may be no text, which may be why the letter is dead."""
    return sa.cast(column, sa.LargeBinary)


def _text(stored: bytes | None) -> str | None:
    return None if stored is None else stored.decode("utf-8", "replace")
