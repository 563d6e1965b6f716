"""Event keys that were seen, for deduplication: a gesture delivered twice, under any of its keys, is accepted once."""

from collections.abc import Sequence

import sqlalchemy as sa

from core.store.schema import events
from core.text import digest


def remember(connection: sa.Connection, event_keys: Sequence[str], now: float) -> bool:
    """Record the keys. Returns False, and records nothing, if one of them was seen before."""
    digests = sorted({digest(key) for key in event_keys})
    if connection.execute(sa.select(events.c.digest).where(events.c.digest.in_(digests))).first():
        return False
    connection.execute(events.insert(), [{"digest": digest, "seen_at": now} for digest in digests])
    return True


def assign(connection: sa.Connection, event_keys: Sequence[str], turn_id: int) -> None:
    """Record that the message with these keys, which are recorded already, is that of a turn."""
    digests = [digest(key) for key in event_keys]
    connection.execute(events.update().where(events.c.digest.in_(digests)).values(turn_id=turn_id))


def purge(connection: sa.Connection, before: float, limit: int) -> int:
    """Delete some of the keys seen before a time; returns their number."""
    old = sa.select(events.c.digest).where(events.c.seen_at < before).limit(limit)
    return connection.execute(events.delete().where(events.c.digest.in_(old))).rowcount
