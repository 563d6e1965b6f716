"""Sessions of operators, by the digests of their tokens."""

from dataclasses import dataclass

import sqlalchemy as sa

from core.store.schema import keys, sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSession:
    """Times are UTC epoch seconds. `key` is the name of the key that the operator signed in with, None for the
    password.
    """

    key: str | None
    opened_at: float
    used_at: float


def add(connection: sa.Connection, digest: bytes, key: str | None, now: float) -> None:
    """Add a session that was opened with the password, or with the key in use of this name."""
    in_use = sa.select(keys.c.id).where(keys.c.name == key, keys.c.revoked_at.is_(None)).scalar_subquery()
    values = {"digest": digest, "key_id": in_use if key else None, "opened_at": now, "used_at": now}
    connection.execute(sessions.insert().values(values))


def find(connection: sa.Connection, digest: bytes) -> StoredSession | None:
    """The session with this digest; None if there is none, or if the key that it was opened with is revoked."""
    is_live = sa.or_(sessions.c.key_id.is_(None), keys.c.revoked_at.is_(None))
    query = sa.select(sessions.c.opened_at, sessions.c.used_at, keys.c.name).outerjoin_from(sessions, keys)
    row = connection.execute(query.where(sessions.c.digest == digest, is_live)).first()
    return StoredSession(key=row.name, opened_at=row.opened_at, used_at=row.used_at) if row else None


def note_use(connection: sa.Connection, digest: bytes, now: float) -> None:
    connection.execute(sessions.update().where(sessions.c.digest == digest).values(used_at=now))


def end(connection: sa.Connection, digest: bytes) -> None:
    connection.execute(sessions.delete().where(sessions.c.digest == digest))


def end_all(connection: sa.Connection) -> None:
    connection.execute(sessions.delete())


def purge(connection: sa.Connection, opened_before: float, used_before: float) -> None:
    """Delete the sessions that are too old, or have not been used for too long."""
    is_over = sa.or_(sessions.c.opened_at < opened_before, sessions.c.used_at < used_before)
    connection.execute(sessions.delete().where(is_over))
