"""The row about the database itself: the key of its digests, and what must not be counted twice."""

import sqlalchemy as sa

from core.store.portable import Greatest
from core.store.schema import TURN_IDS, installation, turns

GIVEN = sa.text(f"SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {TURN_IDS.name}")  # noqa: S608
"""The last id that PostgreSQL's sequence has given; it is not rolled back."""
HIGHEST = sa.select(sa.func.coalesce(sa.func.max(turns.c.id), 0)).scalar_subquery()
HASH = sa.func.hashtextextended(sa.bindparam("conversation", type_=sa.Text), 0)
WAITED = sa.select(sa.func.pg_advisory_xact_lock(HASH).label("waited")).cte().prefix_with("MATERIALIZED")
NEXT_TURN = sa.select(TURN_IDS.next_value()).select_from(WAITED)
LAST_TURN, KEY = sa.select(Greatest(installation.c.last_turn, HIGHEST)), sa.select(installation.c.key)


def key(connection: sa.Connection) -> bytes:
    """The key of the digests of people who were forgotten."""
    return bytes(connection.execute(KEY).scalar_one())


def password(connection: sa.Connection) -> str:
    """The hash of the operators' password; empty if there is none."""
    return str(connection.execute(sa.select(installation.c.password)).scalar_one())


def set_password(connection: sa.Connection, hashed: str) -> None:
    connection.execute(installation.update().values(password=hashed))


def next_turn(connection: sa.Connection, conversation: str) -> int:
    """The id for a new turn, above those of all turns that ever were: a button may name one that is deleted.

    No other turn is added to the conversation until the transaction ends, so that they are committed in order.
    """
    if connection.dialect.supports_sequences:
        return connection.execute(NEXT_TURN, {"conversation": conversation}).scalar_one()
    return last_turn(connection) + 1


def note_last_turn(connection: sa.Connection) -> None:
    """Remember the highest id of a turn, before turns are deleted."""
    if not connection.dialect.supports_sequences:
        connection.execute(installation.update().values(last_turn=last_turn(connection)))


def last_turn(connection: sa.Connection) -> int:
    """The highest id that a turn has had."""
    known = int(connection.execute(LAST_TURN).scalar_one())
    return max(known, connection.execute(GIVEN).scalar_one()) if connection.dialect.supports_sequences else known


def touch(connection: sa.Connection, now: float) -> None:
    """Write something, to find out whether that is possible."""
    connection.execute(installation.update().values(checked_at=now))
