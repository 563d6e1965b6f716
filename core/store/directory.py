"""The people who have written to the bot, as operators see them: never a word of what they said."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

import sqlalchemy as sa

from core.messages import Locale, Person
from core.store.handoffs import IS_OPEN
from core.store.people import languages_of
from core.store.schema import handoffs, people, turns

PAGE = 50
"""People on a page."""
ESCAPE = "!"
"""What stands before a percent sign that is meant as it is. In a key it would be percent-encoded itself."""


class Mark(NamedTuple):
    """The end of a page: the last person on it, with their last turn. The next page begins behind it."""

    turn: int
    person: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A person: the number of their `turns`, and when the last one was accepted, in UTC epoch seconds; None without
    one. `locale` is the language of the bot's own words, and `admitted` what an administrator has decided.
    """

    mark: Mark
    person: Person
    turns: int
    last_seen: float | None
    locale: Locale
    admitted: bool | None
    is_handed_over: bool


def page(connection: sa.Connection, part: str = "", after: Mark | None = None, limit: int = PAGE) -> tuple[Known, ...]:
    """People by their last turn, newest first, and those without one last: a page `after` the mark of the last one.

    `part` chooses people by a part of their name or key, such as "telegram:123", in any case.
    """
    everybody = sa.select(people, _last_turn().label("last_turn")).where(_has(part)).cte("everybody")
    mark = sa.tuple_(everybody.c.last_turn, everybody.c.id)
    query = sa.select(everybody).order_by(everybody.c.last_turn.desc(), everybody.c.id.desc()).limit(limit)
    return _described(connection, connection.execute(query.where(mark < after) if after else query).all())


def find(connection: sa.Connection, person: Person) -> Known | None:
    """What is known of a person; None if they never wrote, or were forgotten meanwhile."""
    query = sa.select(people, _last_turn().label("last_turn")).where(people.c.key == str(person))
    return next(iter(_described(connection, connection.execute(query).all())), None)


def _last_turn() -> sa.ColumnElement[int]:
    """The last turn of a person; 0 without one."""
    last = sa.select(sa.func.max(turns.c.id)).where(turns.c.person_id == people.c.id)
    return sa.func.coalesce(last.scalar_subquery(), 0)


def _has(part: str) -> sa.ColumnElement[bool]:
    """A name has a colon between the platform and the id; in the key the workspace stands between the two."""
    platform, colon, id_ = map(_in_key, part.strip().partition(":"))
    patterns = [f"%{_in_key(part.strip())}%", *[f"%{platform}/%/{id_}%"] * bool(colon)]
    return sa.or_(*(people.c.key.ilike(pattern, escape=ESCAPE) for pattern in patterns))


def _in_key(part: str) -> str:
    """A part of a name or key as it stands in a key, for a pattern."""
    return quote(part, safe="/%").replace("%", f"{ESCAPE}%").replace("_", f"{ESCAPE}_")


def _described(connection: sa.Connection, rows: Sequence[sa.Row[tuple[object, ...]]]) -> tuple[Known, ...]:
    """What is known about the people of some rows. Their turns are counted in the index."""
    ids, last = [row.id for row in rows], [row.last_turn for row in rows]
    counting = sa.select(turns.c.person_id, sa.func.count().label("many")).where(turns.c.person_id.in_(ids))
    counts = {row.person_id: row.many for row in connection.execute(counting.group_by(turns.c.person_id))}
    lately = sa.select(turns.c.id, turns.c.accepted_at).where(turns.c.id.in_(last))
    times = {row.id: row.accepted_at for row in connection.execute(lately)}
    handing = sa.select(handoffs.c.person_id).where(IS_OPEN, handoffs.c.person_id.in_(ids))
    handed_over = set(connection.scalars(handing))
    return tuple(
        Known(
            mark=Mark(row.last_turn, row.id),
            person=Person.parse(row.key),
            turns=counts.get(row.id, 0),
            last_seen=times.get(row.last_turn),
            locale=languages_of(row).own_words(None),
            admitted=row.admitted,
            is_handed_over=row.id in handed_over,
        )
        for row in rows
    )
