"""Keys of programs that use the HTTP interface. Each is shown once, when it is made; only its digest is stored."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from core.errors import KeyRefused
from core.store import keys
from core.tokens import digest as digest_of
from core.tokens import spelled

PREFIX = "parley_"
"""Lets scanners for leaked secrets recognise a key."""
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


def add_key(
    connection: sa.Connection,
    name: str,
    scopes: Collection[Scope],
    entropy: bytes,
    now: float,
    per_minute: int | None = None,
) -> str:
    """Add a key with a name of its own, and return it. Raises KeyRefused.

    The name of a revoked key may be used again: a new key then takes its place. All its people together may write so
    many messages `per_minute`, or as many as the setting says.
    """
    if not NAME.fullmatch(name):
        raise KeyRefused(name, "should have up to 64 letters, digits, dots, dashes and underscores")
    key = PREFIX + spelled(entropy)
    if not keys.add(connection, name, digest_of(key), tuple(sorted(scopes)), now, per_minute):
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
    digest = digest_of(presented)
    found = keys.find(connection, digest)
    if found is None:
        return None
    if found.used_at is None or abs(now - found.used_at) >= USES_APART:  # the clock may have been set back
        keys.note_use(connection, digest, now)
    return Key(name=found.name, scopes=frozenset(scope for scope in Scope if scope in found.scopes))
