"""Totals of replies, moods and votes, for one person or for everybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from core.messages import Label, Person, Source
from core.store.schema import turns, votes
from core.store.turns import asked_by

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of replies by source, of moods by label, and of votes."""

    sources: Mapping[Source, int]
    moods: Mapping[Label, int]
    up: int
    down: int


def totals(connection: sa.Connection, person: Person | None) -> Totals:
    """A person's totals, or everybody's if it is None."""
    whose = asked_by(person)
    sources = _count(connection, turns.c.source, whose)
    moods = _count(connection, turns.c.mood_label, whose)
    thumbs = _count(connection, votes.c.vote, sa.and_(whose, votes.c.turn_id == turns.c.id))
    return Totals(
        sources={source: sources.get(source, 0) for source in Source},
        moods={label: moods.get(label, 0) for label in Label},
        up=thumbs.get(1, 0),
        down=thumbs.get(-1, 0),
    )


def _count(connection: sa.Connection, column: sa.Column[T], which: sa.ColumnElement[bool]) -> dict[T, int]:
    query = sa.select(column, sa.func.count()).where(which, column.is_not(None)).group_by(column)
    return {value: count for value, count in connection.execute(query)}  # noqa: C416  rows are typed
