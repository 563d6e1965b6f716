"""What remains of a person who was forgotten: a digest, the time, and what /forget must not lift.

A message that was sent before that time does not come back, from the platform or from a backup.
"""

from collections.abc import Mapping
from hashlib import blake2b

import sqlalchemy as sa

from core.messages import Person
from core.store import installation
from core.store.schema import people, tombstones

KEPT = ("admitted", "asked_at", "throttled_until", "noticed_at")
"""Columns of a person's row that a tombstone takes over: the rate limit, and what administrators have decided."""
IS_THEIRS = tombstones.c.digest == sa.bindparam("name")
FORGOTTEN_AT = sa.select(tombstones.c.forgotten_at).where(IS_THEIRS)
KEPT_OF = sa.select(*(tombstones.c[column] for column in KEPT)).where(IS_THEIRS)


def digest(key: bytes, person: str) -> bytes:
    """What a tombstone has instead of a person's key: it tells that only to those with the key who guess."""
    return blake2b(person.encode("utf-8", "surrogatepass"), key=key, digest_size=16).digest()


def bury(connection: sa.Connection, person: Person, forgotten_at: float) -> None:
    """Record that a person was forgotten, with what their row holds now."""
    name = _digest(connection, person)
    row = connection.execute(sa.select(people).where(people.c.key == str(person))).one()
    values = {"digest": name, "forgotten_at": forgotten_at} | {column: getattr(row, column) for column in KEPT}
    connection.execute(sa.delete(tombstones).where(tombstones.c.digest == name))
    connection.execute(tombstones.insert().values(values))


def forgotten_at(connection: sa.Connection, person: Person) -> float:
    """When a person was last forgotten; 0 if never."""
    return connection.scalar(FORGOTTEN_AT, {"name": _digest(connection, person)}) or 0.0


def buried(connection: sa.Connection) -> tuple[bytes, Mapping[bytes, float]]:
    """The key of the digests, and all digests, each with the time when the person was forgotten."""
    rows = connection.execute(sa.select(tombstones.c.digest, tombstones.c.forgotten_at))
    return installation.key(connection), {row.digest: row.forgotten_at for row in rows}


def kept(connection: sa.Connection, person: Person) -> Mapping[str, object]:
    """The columns for a new row of a person who was forgotten; none for anybody else."""
    row = connection.execute(KEPT_OF, {"name": _digest(connection, person)}).one_or_none()
    return row._asdict() if row else {}


def _digest(connection: sa.Connection, person: Person) -> bytes:
    return digest(installation.key(connection), str(person))
