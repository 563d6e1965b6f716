"""Seeded mutations of JSON: another value, another shape, or other bytes."""

import json
from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import sqlalchemy as sa

from core.store import Store

Json: TypeAlias = Any
Mutation: TypeAlias = Callable[[Random, Json], bytes]


async def open_turns(store: Store) -> int:
    """How many turns are neither delivered nor dead letters."""
    query = sa.text("SELECT count(*) FROM turns WHERE state NOT IN ('delivered', 'dead')")
    return await store.run(lambda connection: connection.scalar(query) or 0)


async def states(store: Store) -> dict[str, int]:
    """How many turns are in each state."""
    query = sa.text("SELECT state, count(*) FROM turns GROUP BY state")
    return {str(state): int(many) for state, many in await store.run(lambda c: c.execute(query).all())}


ODD: tuple[Json, ...] = (
    *(None, True, False, 0, -1, 2**31, 2**63, -(2**63) - 1, 10**30, 1.5, 1e308, float("nan"), float("inf")),
    *("", " ", "0", "-1", "x" * 5_000, "\x00", "\ud800", "\u202e", "é", "1e9", "１２", "../..", ":", "post:1:2:3"),
    *([], {}, [[]], [None], {"": None}, {"id": {}}),
)
LONG_NUMBER = b"9" * 5_000


def mutated(random: Random, value: Json) -> bytes:
    """A JSON text with up to three mutations."""
    for _ in range(random.randint(1, 3)):
        value = _changed(random, value)
    body = json.dumps(value).encode()
    return random.choice(BYTES)(random, body) if random.random() < 0.3 else body


def _changed(random: Random, value: Json) -> Json:
    """The value with another value somewhere in it, or without a part of it."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        if random.random() < 0.15:
            return {name: part for name, part in value.items() if name != key}
        return {**value, key: _changed(random, value[key])}
    if isinstance(value, list) and value and random.random() < 0.8:
        at = random.randrange(len(value))
        return [*value[:at], _changed(random, value[at]), *value[at + 1 :]]
    return random.choice([*ODD, value, [value], {"x": value}, str(value)])


def _cut(random: Random, body: bytes) -> bytes:
    return body[: random.randrange(len(body) + 1)]


def _flip(random: Random, body: bytes) -> bytes:
    at = random.randrange(len(body) + 1)
    return body[:at] + bytes([random.randrange(256)]) + body[at + 1 :]


def _nest(random: Random, body: bytes) -> bytes:  # noqa: ARG001  one signature
    return b"[" * 100_000 + body


def _lengthen(random: Random, body: bytes) -> bytes:
    """Put a long number where a digit is."""
    digits = [at for at, byte in enumerate(body) if chr(byte).isdigit()]
    at = random.choice(digits or [0])
    return body[:at] + LONG_NUMBER + body[at + 1 :]


def _garble(random: Random, body: bytes) -> bytes:
    return random.choice([b"", b"\xff\xfe", b"<html>502 Bad Gateway</html>", b"null", b"{}", b"[]", body * 2])


BYTES = (_cut, _flip, _nest, _lengthen, _garble)
