"""The last turns of a person who is being forgotten: each is closed visibly, and deleted once that is delivered."""

import sqlalchemy as sa

from core.messages import Person
from core.store import tombstones
from core.store.alone import alone
from core.store.removal import note_words, remove_turns
from core.store.schema import people, turns, votes

LEAVING = sa.select(turns.c.person_id).where(turns.c.id == sa.bindparam("turn"), turns.c.leaving)


def leave(connection: sa.Connection, turn_id: int) -> None:
    """Delete a delivered turn if it was one of the last, and the person's row with the very last."""
    person_id = connection.scalar(LEAVING, {"turn": turn_id})
    if person_id is not None:
        alone(connection)
        remove_turns(connection, turns.c.id == turn_id)
        remove_person(connection, person_id)


def remove_person(connection: sa.Connection, person_id: int) -> None:
    """Delete a person's row, unless something of theirs is left, or has come since."""
    for table in (turns, votes):
        if connection.execute(sa.select(table.c.person_id).where(table.c.person_id == person_id).limit(1)).first():
            return
    person = Person.parse(connection.execute(sa.select(people.c.key).where(people.c.id == person_id)).scalar_one())
    tombstones.bury(connection, person, tombstones.forgotten_at(connection, person))
    connection.execute(people.delete().where(people.c.id == person_id))
    note_words(connection)
