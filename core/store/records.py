"""Totals, export and deletion, for one person or for everybody."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from core.messages import Label, Media, Person, Quote, Source
from core.store.schema import people, turns, votes

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Counts of replies by source, of moods by label, and of votes."""

    sources: Mapping[Source, int]
    moods: Mapping[Label, int]
    up: int
    down: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One exported message and its reply. Times are UTC epoch seconds; `votes` are 1 and -1."""

    person: str
    conversation: str
    sent_at: float
    text: str
    quotes: tuple[Quote, ...]
    media: tuple[Media, ...]
    reply: str
    source: str
    mood: str | None
    votes: tuple[int, ...]


def totals(connection: sa.Connection, person: Person | None) -> Totals:
    """A person's totals, or everybody's if it is None."""
    whose = _whose(person)
    sources = _count(connection, turns.c.source, whose)
    moods = _count(connection, turns.c.mood_label, whose)
    thumbs = _count(connection, votes.c.vote, sa.and_(whose, votes.c.turn_id == turns.c.id))
    return Totals(
        sources={source: sources.get(source, 0) for source in Source},
        moods={label: moods.get(label, 0) for label in Label},
        up=thumbs.get(1, 0),
        down=thumbs.get(-1, 0),
    )


def export(connection: sa.Connection, person: Person | None) -> tuple[Record, ...]:
    """All answered messages of a person, or of everybody if it is None, without commands, oldest first."""
    cast: dict[int, list[int]] = {}
    for turn_id, vote in connection.execute(sa.select(votes.c.turn_id, votes.c.vote)):
        cast.setdefault(turn_id, []).append(vote)
    said = sa.and_(_whose(person), turns.c.reply.is_not(None), turns.c.source != Source.COMMAND)
    joined = sa.select(turns, people.c.key.label("person")).join(people, people.c.id == turns.c.person_id)
    rows = connection.execute(joined.where(said).order_by(turns.c.id))
    return tuple(
        Record(
            person=row.person,
            conversation=row.conversation,
            sent_at=row.sent_at,
            text=row.text,
            quotes=row.quotes,
            media=row.media,
            reply=row.reply,
            source=row.source,
            mood=row.mood_label,
            votes=tuple(cast.get(row.id, ())),
        )
        for row in rows
    )


def forget(connection: sa.Connection, person: Person, current_turn: int) -> None:
    """Delete everything stored about a person, except the turn that asks for it, whose reply is still to be delivered.

    The quotes of all messages are deleted as well, since they may be of this person. Digests of event keys remain, so
    that a message delivered again is still a duplicate. The person's id remains with their rate limit, which would
    otherwise be lifted.
    """
    connection.execute(turns.delete().where(_of(person), turns.c.id != current_turn))
    connection.execute(votes.delete().where(votes.c.person_id == _id(person)))
    connection.execute(turns.update().where(turns.c.quotes != ()).values(quotes=()))
    preferences = {"locale": None, "spoken": None, "straying": 0, "hint": None, "show_mood": True}
    connection.execute(people.update().where(people.c.key == str(person)).values(preferences))


def _whose(person: Person | None) -> sa.ColumnElement[bool]:
    return sa.true() if person is None else _of(person)


def _of(person: Person) -> sa.ColumnElement[bool]:
    return turns.c.person_id == _id(person)


def _id(person: Person) -> sa.ScalarSelect[int]:
    return sa.select(people.c.id).where(people.c.key == str(person)).scalar_subquery()


def _count(connection: sa.Connection, column: sa.Column[T], which: sa.ColumnElement[bool]) -> dict[T, int]:
    query = sa.select(column, sa.func.count()).where(which, column.is_not(None)).group_by(column)
    return {value: count for value, count in connection.execute(query)}  # noqa: C416  rows are typed
