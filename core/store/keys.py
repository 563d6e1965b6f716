"""Keys of programs that use the HTTP interface, by their digests."""

from dataclasses import dataclass

import sqlalchemy as sa

from core.store.portable import insert_new
from core.store.schema import keys

IS_LIVE = keys.c.revoked_at.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """What is known about a key. Times are UTC epoch seconds; `used_at` is up to an hour behind.

    `per_minute` is its own limit of messages, None if it has that of all keys.
    """

    name: str
    scopes: tuple[str, ...]
    created_at: float
    revoked_at: float | None
    used_at: float | None
    per_minute: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the people of a key may write, and GCRA's theoretical arrival time of all of them together."""

    per_minute: int | None
    throttled_until: float


def add(
    connection: sa.Connection,
    name: str,
    digest: bytes,
    scopes: tuple[str, ...],
    now: float,
    per_minute: int | None = None,
) -> bool:
    """Add a key; False if one with this name is in use."""
    values = {"name": name, "digest": digest, "scopes": scopes, "created_at": now, "per_minute": per_minute}
    return connection.execute(insert_new(connection, keys).values(values)).rowcount == 1


def find(connection: sa.Connection, digest: bytes) -> StoredKey | None:
    """The key with this digest, unless it is revoked."""
    row = connection.execute(sa.select(keys).where(keys.c.digest == digest, IS_LIVE)).first()
    return _stored(row) if row else None


def pace(connection: sa.Connection, name: str) -> Pace | None:
    """The pace of the key with this name that is in use, which is locked until the end of the transaction."""
    query = sa.select(keys.c.per_minute, keys.c.throttled_until).where(keys.c.name == name, IS_LIVE)
    row = connection.execute(query.with_for_update())
    found = row.first()
    return Pace(per_minute=found.per_minute, throttled_until=found.throttled_until) if found else None


def set_throttle(connection: sa.Connection, name: str, until: float) -> None:
    connection.execute(keys.update().where(keys.c.name == name, IS_LIVE).values(throttled_until=until))


def note_use(connection: sa.Connection, digest: bytes, now: float) -> None:
    connection.execute(keys.update().where(keys.c.digest == digest).values(used_at=now))


def revoke(connection: sa.Connection, name: str, now: float) -> bool:
    """Revoke the key with this name; False if there is none in use."""
    return connection.execute(keys.update().where(keys.c.name == name, IS_LIVE).values(revoked_at=now)).rowcount == 1


def listed(connection: sa.Connection) -> tuple[StoredKey, ...]:
    """All keys, oldest first, also those that are revoked."""
    return tuple(_stored(row) for row in connection.execute(sa.select(keys).order_by(keys.c.id)))


def carry_over(present: sa.Connection, restored: sa.Connection) -> None:
    """Have the keys of one database in another one as they are now, so that one that was revoked since stays revoked.

    Of two keys with the same name in use, the one of the present database stays.
    """
    columns = [column for column in keys.columns if column.name != "id"]
    for row in present.execute(sa.select(*columns).order_by(keys.c.id)).all():
        is_same = keys.c.digest == row.digest
        has_its_name = sa.and_(keys.c.name == row.name, IS_LIVE)
        in_its_way = sa.or_(is_same, has_its_name) if row.revoked_at is None else is_same
        restored.execute(keys.delete().where(in_its_way))
        restored.execute(keys.insert().values(row._asdict()))


def _stored(row: sa.Row[tuple[object, ...]]) -> StoredKey:
    return StoredKey(
        name=row.name,
        scopes=row.scopes,
        created_at=row.created_at,
        revoked_at=row.revoked_at,
        used_at=row.used_at,
        per_minute=row.per_minute,
    )
