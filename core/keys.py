"""Keys of programs that use the HTTP interface. Each is shown once, when it is made; only its digest is stored.

The digest is a plain SHA-256. Slow hashes such as argon2 protect passwords, which people choose and others can guess. A
key has 256 random bits, which cannot be guessed however fast the hash is; and a slow hash would let anybody who sends
wrong keys keep the processor busy.
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

import sqlalchemy as sa

from core.errors import KeyRefused
from core.store import keys

PREFIX = "parley_"
"""Lets scanners for leaked secrets recognise a key."""
ENTROPY_BYTES = 32
"""Random bytes of a key."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
USES_APART = 3_600.0
"""Seconds between two notes of a key's use, at least: most requests write nothing."""


class Scope(StrEnum):
    """What a key opens."""

    CHAT = "chat"
    METRICS = "metrics"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key that is in use, without the key itself."""

    name: str
    scopes: frozenset[Scope]


def add_key(connection: sa.Connection, name: str, scopes: Collection[Scope], entropy: bytes, now: float) -> str:
    """Add a key with a name of its own, and return it. Raises KeyRefused.

    The name of a revoked key may be used again: a new key then takes its place.
    """
    assert len(entropy) == ENTROPY_BYTES
    if not NAME.fullmatch(name):
        raise KeyRefused(name, "should have up to 64 letters, digits, dots, dashes and underscores")
    key = PREFIX + urlsafe_b64encode(entropy).rstrip(b"=").decode()
    if not keys.add(connection, name, _digest(key), tuple(sorted(scopes)), now):
        raise KeyRefused(name, "there is a key with this name already")
    return key


def revoke_key(connection: sa.Connection, name: str, now: float) -> None:
    """Have a key open nothing from now on. Raises KeyRefused."""
    if not keys.revoke(connection, name, now):
        raise KeyRefused(name, "there is no key in use with this name")


def find_key(connection: sa.Connection, presented: str, now: float) -> Key | None:
    """The key that a program presents; None if it is unknown or revoked.

    Whatever is presented costs one digest and one look at an index of digests, so that the time that it takes says
    nothing about the keys that exist.
    """
    digest = _digest(presented)
    found = keys.find(connection, digest)
    if found is None:
        return None
    if found.used_at is None or abs(now - found.used_at) >= USES_APART:  # the clock may have been set back
        keys.note_use(connection, digest, now)
    return Key(name=found.name, scopes=frozenset(scope for scope in Scope if scope in found.scopes))


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
