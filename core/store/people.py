"""The stored state of a person: languages and preferences, rate limit, and position in the round robin."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import sqlalchemy as sa

from core.language import Languages
from core.messages import Locale, Person
from core.store import tombstones
from core.store.schema import SERVINGS, people

LOCKED = sa.select(people).where(people.c.key == sa.bindparam("name")).with_for_update(key_share=True)
INSERTED, OF_ROW = people.insert(), people.update().where(people.c.id == sa.bindparam("row"))
LAST = sa.select(sa.func.coalesce(sa.func.max(people.c.served), 0) + 1).scalar_subquery()
SERVED_LAST, SERVED_NEXT = (OF_ROW.values(served=following) for following in (LAST, SERVINGS.next_value()))


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """A person as stored. `throttled_until` is GCRA's theoretical arrival time, `noticed_at` when they were last told
    to slow down, and `asked_at` when administrators were last asked to let them in; all are UTC epoch seconds.
    `admitted` is what an administrator has decided, None if none has. `program` is the name of the key by which a
    program writes for them, or empty.
    """

    id: int
    languages: Languages
    show_mood: bool
    admitted: bool | None
    asked_at: float
    throttled_until: float
    noticed_at: float
    program: str


def id_of(person: Person) -> sa.Select[int]:
    """The query for the id of a person's row."""
    return sa.select(people.c.id).where(people.c.key == str(person))


def find_or_add(connection: sa.Connection, person: Person) -> PersonRow:
    """The person's row, inserted if there is none, with the latest hint of their language and the program that writes.

    A person who was forgotten has the rate limit that they had, and is let in or shut out as before. The row is locked
    until the transaction ends, so that what is read from it may be written.
    """
    name = {"name": str(person)}
    row = connection.execute(LOCKED, name).one_or_none()
    told = {"hint": person.locale, "program": person.program}
    if row is None:
        connection.execute(INSERTED, {"key": str(person), **told, **tombstones.kept(connection, person)})
        row = connection.execute(LOCKED, name).one()
    elif news := {column: value for column, value in told.items() if value and value != getattr(row, column)}:
        _change(connection, row.id, news)
        row = connection.execute(LOCKED, name).one()
    return PersonRow(
        id=row.id,
        languages=languages_of(row),
        show_mood=row.show_mood,
        admitted=row.admitted,
        asked_at=row.asked_at,
        throttled_until=row.throttled_until,
        noticed_at=row.noticed_at,
        program=row.program,
    )


def languages_of(row: sa.Row[tuple[object, ...]]) -> Languages:
    """What a person's row tells about their languages."""
    return Languages(
        chosen=cast("Locale | None", row.locale),
        spoken=cast("Locale | None", row.spoken),
        straying=row.straying,
        hint=cast("Locale | None", row.hint),
    )


def hear(connection: sa.Connection, person: Person, text: str) -> PersonRow:
    """The person's row, with their languages updated by `text`."""
    row = find_or_add(connection, person)
    languages = row.languages.after(text)
    if languages != row.languages:
        _change(connection, row.id, {"spoken": languages.spoken, "straying": languages.straying})
    return replace(row, languages=languages)


def set_locale(connection: sa.Connection, person: Person, locale: Locale | None) -> None:
    """Set the language that a person has chosen; None selects that of their next sentences."""
    values = {"locale": locale, "spoken": None, "straying": 0}
    connection.execute(people.update().where(people.c.key == str(person)).values(values))


def set_show_mood(connection: sa.Connection, person: Person, show: bool) -> None:  # noqa: FBT001  a stored value
    connection.execute(people.update().where(people.c.key == str(person)).values(show_mood=show))


def set_throttle(connection: sa.Connection, person_id: int, until: float) -> None:
    _change(connection, person_id, {"throttled_until": until})


def set_noticed(connection: sa.Connection, person_id: int, at: float) -> None:
    _change(connection, person_id, {"noticed_at": at})


def set_served(connection: sa.Connection, person_id: int) -> None:
    """Move the person to the end of the round robin."""
    connection.execute(SERVED_NEXT if connection.dialect.supports_sequences else SERVED_LAST, {"row": person_id})


def _change(connection: sa.Connection, person_id: int, values: Mapping[str, object]) -> None:
    connection.execute(OF_ROW, {"row": person_id, **values})
