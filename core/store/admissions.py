"""The people whom administrators have let in, or have shut out, in addition to the configured access list."""

from collections.abc import Iterable
from typing import cast

import sqlalchemy as sa

from core.messages import Locale, Person
from core.store import tombstones
from core.store.schema import people, turns

DECISION = sa.select(people.c.admitted).where(people.c.key == sa.bindparam("name"))


def decision(connection: sa.Connection, person: Person) -> bool | None:
    """Whether an administrator has let this person in or has shut them out, also if the person was forgotten since;
    None if none has decided.
    """
    row = connection.execute(DECISION, {"name": str(person)}).one_or_none()
    return row.admitted if row else cast("bool | None", tombstones.kept(connection, person).get("admitted"))


def admitted(connection: sa.Connection) -> tuple[Person, ...]:
    """All people who were let in."""
    keys = connection.scalars(sa.select(people.c.key).where(people.c.admitted).order_by(people.c.key))
    return tuple(map(Person.parse, keys))


def known(connection: sa.Connection, names: Iterable[str]) -> tuple[Person, ...]:
    """The people with these names, such as "telegram:123" in any case, who have written to the bot."""
    wanted = {name.lower() for name in names}
    everybody = map(Person.parse, connection.scalars(sa.select(people.c.key).order_by(people.c.key)))
    return tuple(person for person in everybody if person.name.lower() in wanted)


def decide(connection: sa.Connection, person: Person, admit: bool | None) -> bool:  # noqa: FBT001  a stored value
    """Let a person in, or shut them out, or withdraw what was decided if it is None. Returns whether that is new."""
    theirs = people.update().where(people.c.key == str(person), people.c.admitted.is_distinct_from(admit))
    return connection.execute(theirs.values(admitted=admit)).rowcount == 1


def last_locale(connection: sa.Connection, person_id: int) -> Locale | None:
    """The language in which a person was last spoken to; None if they never were."""
    query = sa.select(turns.c.locale).where(turns.c.person_id == person_id).order_by(turns.c.id.desc())
    return cast("Locale | None", connection.scalar(query.limit(1)))


def asked_between(connection: sa.Connection, since: float, until: float) -> int:
    """About how many people administrators were asked in a span of time."""
    query = sa.select(sa.func.count()).select_from(people).where(people.c.asked_at.between(since, until))
    return connection.execute(query).scalar_one()


def set_asked(connection: sa.Connection, person_id: int, at: float) -> None:
    """Record when administrators were asked to let a person in."""
    connection.execute(people.update().where(people.c.id == person_id).values(asked_at=at))
