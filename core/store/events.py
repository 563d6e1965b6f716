"""Event keys that were seen, for deduplication: a gesture delivered twice, under any of its keys, is accepted once."""

from collections.abc import Sequence

import sqlalchemy as sa

from core.store.schema import events
from core.text import digest

NEWEST = 10_000
"""Keys that are kept whatever their time: a clock that was far behind may have given them an old one."""
ORDER: sa.ColumnElement[int] = sa.literal_column("rowid", sa.Integer)
"""The number of a row, in the order in which rows were inserted."""
HAS_KEY = events.c.digest.in_(sa.bindparam("digests", expanding=True))
KNOWN = sa.select(events.c.digest).where(HAS_KEY).limit(1)
INSERTED, OF_KEYS = events.insert(), events.update().where(HAS_KEY)


def remember(connection: sa.Connection, event_keys: Sequence[str], now: float) -> bool:
    """Record the keys. Returns False, and records nothing, if one of them was seen before."""
    if is_known(connection, event_keys):
        return False
    digests = _digests(event_keys)
    connection.execute(INSERTED, [{"digest": digest, "seen_at": now} for digest in digests])
    return True


def forget(connection: sa.Connection, event_keys: Sequence[str]) -> None:
    """Have the keys be unknown again: what they identify was not done, and may be tried again."""
    connection.execute(events.delete().where(HAS_KEY), {"digests": _digests(event_keys)})


def assign(connection: sa.Connection, event_keys: Sequence[str], turn_id: int) -> None:
    """Record that the message with these keys, which are recorded already, is that of a turn."""
    connection.execute(OF_KEYS, {"digests": _digests(event_keys), "turn_id": turn_id})


def reassign(connection: sa.Connection, turn_id: int, other: int) -> None:
    """Record that the message of a turn is that of another one."""
    connection.execute(events.update().where(events.c.turn_id == turn_id).values(turn_id=other))


def is_known(connection: sa.Connection, event_keys: Sequence[str]) -> bool:
    """Whether one of the keys was seen."""
    return connection.execute(KNOWN, {"digests": _digests(event_keys)}).first() is not None


def turn_of(connection: sa.Connection, event_keys: Sequence[str]) -> int | None:
    """The turn of the message with one of these keys; None if it has none."""
    query = sa.select(events.c.turn_id).where(HAS_KEY, events.c.turn_id.is_not(None))
    return connection.scalar(query.limit(1), {"digests": _digests(event_keys)})


def purge(connection: sa.Connection, before: float, limit: int, *, newest: int = NEWEST) -> int:
    """Delete some of the keys seen before a time, but not the `newest`, and none of a stored message, which may still
    be deleted. Returns their number.
    """
    is_new = sa.select(sa.func.max(ORDER)).select_from(events).scalar_subquery() - newest < ORDER
    is_old = sa.and_(events.c.turn_id.is_(None), events.c.seen_at < before, ~is_new)
    old = sa.select(events.c.digest).where(is_old).limit(limit)
    return connection.execute(events.delete().where(events.c.digest.in_(old))).rowcount


def _digests(event_keys: Sequence[str]) -> list[bytes]:
    return sorted({digest(key) for key in event_keys})
