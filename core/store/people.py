"""What the store knows of a person: preferences, the throttle, and their place in the round."""

from dataclasses import dataclass
from typing import cast

import sqlalchemy as sa

from core.messages import Locale, Person
from core.store.schema import people


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRow:
    """A person as stored. `throttled_until` is GCRA's theoretical arrival time; `locale` is None until it shows, `hint`
    what the platform says of it.
    """

    id: int
    locale: Locale | None
    hint: Locale | None
    show_mood: bool
    throttled_until: float
    noticed_at: float


def find_or_add(connection: sa.Connection, person: Person) -> PersonRow:
    """The person's row, made if this is their first message, and with the platform's hint of their language."""
    query = sa.select(people).where(people.c.key == str(person))
    row = connection.execute(query).one_or_none()
    if row is None:
        connection.execute(people.insert().values(key=str(person), hint=person.locale))
        row = connection.execute(query).one()
    elif person.locale and person.locale != row.hint:
        connection.execute(people.update().where(people.c.id == row.id).values(hint=person.locale))
        row = connection.execute(query).one()
    return PersonRow(
        id=row.id,
        locale=cast("Locale | None", row.locale),
        hint=cast("Locale | None", row.hint),
        show_mood=row.show_mood,
        throttled_until=row.throttled_until,
        noticed_at=row.noticed_at,
    )


def with_locale(connection: sa.Connection, person: Person, shown: Locale | None) -> PersonRow:
    """The person's row, with a language: if they had none, the one `shown`, else the platform's hint, else English."""
    row = find_or_add(connection, person)
    if row.locale is not None:
        return row
    set_locale(connection, person, shown or row.hint or "en")
    return find_or_add(connection, person)


def set_locale(connection: sa.Connection, person: Person, locale: Locale | None) -> None:
    """Set the person's language; None to find it again in their next message."""
    connection.execute(people.update().where(people.c.key == str(person)).values(locale=locale))


def set_show_mood(connection: sa.Connection, person: Person, show: bool) -> None:  # noqa: FBT001  a stored value
    connection.execute(people.update().where(people.c.key == str(person)).values(show_mood=show))


def set_throttle(connection: sa.Connection, person_id: int, until: float) -> None:
    connection.execute(people.update().where(people.c.id == person_id).values(throttled_until=until))


def set_noticed(connection: sa.Connection, person_id: int, at: float) -> None:
    connection.execute(people.update().where(people.c.id == person_id).values(noticed_at=at))


def set_served(connection: sa.Connection, person_id: int) -> None:
    """Put the person last in the round."""
    last = sa.select(sa.func.coalesce(sa.func.max(people.c.served), 0) + 1).scalar_subquery()
    connection.execute(people.update().where(people.c.id == person_id).values(served=last))
