"""The people whom administrators have let in, or have shut out, in addition to the configured access list."""

from collections.abc import Iterable

import sqlalchemy as sa

from core.messages import Person
from core.store import tombstones
from core.store.schema import people


def is_admitted(connection: sa.Connection, person: Person) -> bool:
    """Whether an administrator has let this person in, also if the person was forgotten since."""
    row = connection.execute(sa.select(people.c.admitted).where(people.c.key == str(person))).one_or_none()
    return bool(row.admitted if row else tombstones.kept(connection, person).get("admitted"))


def admitted(connection: sa.Connection) -> tuple[Person, ...]:
    """All people who were let in."""
    keys = connection.scalars(sa.select(people.c.key).where(people.c.admitted).order_by(people.c.key))
    return tuple(map(Person.parse, keys))


def known(connection: sa.Connection, names: Iterable[str]) -> tuple[Person, ...]:
    """The people with these names, such as "telegram:123" in any case, who have written to the bot."""
    wanted = {name.lower() for name in names}
    everybody = map(Person.parse, connection.scalars(sa.select(people.c.key).order_by(people.c.key)))
    return tuple(person for person in everybody if person.name.lower() in wanted)


def decide(connection: sa.Connection, person: Person, admit: bool) -> None:  # noqa: FBT001  a stored value
    """Let a person in, or shut them out."""
    connection.execute(people.update().where(people.c.key == str(person)).values(admitted=admit))


def set_asked(connection: sa.Connection, person_id: int, at: float) -> None:
    """Record when administrators were asked to let a person in."""
    connection.execute(people.update().where(people.c.id == person_id).values(asked_at=at))
