"""Keys of programs that use the HTTP interface, by their digests."""

from dataclasses import dataclass

import sqlalchemy as sa

from core.store.portable import insert_new
from core.store.schema import keys

IS_LIVE = keys.c.revoked_at.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """What is known about a key. Times are UTC epoch seconds; `used_at` is up to an hour behind."""

    name: str
    scopes: tuple[str, ...]
    created_at: float
    revoked_at: float | None
    used_at: float | None


def add(connection: sa.Connection, name: str, digest: bytes, scopes: tuple[str, ...], now: float) -> bool:
    """Add a key; False if one with this name is in use."""
    values = {"name": name, "digest": digest, "scopes": scopes, "created_at": now}
    return connection.execute(insert_new(connection, keys).values(values)).rowcount == 1


def find(connection: sa.Connection, digest: bytes) -> StoredKey | None:
    """The key with this digest, unless it is revoked."""
    row = connection.execute(sa.select(keys).where(keys.c.digest == digest, IS_LIVE)).first()
    return _stored(row) if row else None


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
    )
