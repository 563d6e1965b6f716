"""Conversations as an operator reads them, if `admin.read_conversations` permits it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from core.messages import WITHDRAWN, ConversationKey, Label, Media, Person
from core.store.schema import people, turns, votes

PAGE = 50
"""Conversations on a page, and turns of one."""
SAID = ("id", "text", "media", "sent_at", "reply", "at_desk", "finished_at", "source", "error", "mood_label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A conversation: the number of its turns, the last one, and when that was accepted, in UTC epoch seconds."""

    key: ConversationKey
    turns: int
    last_turn: int
    last_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What was said in a turn. Times are UTC epoch seconds; `reply` and `replied_at` are None until it is answered.

    `source` and `error` are those of a `core.messages.Reply`, and `votes` are 1 and -1.
    """

    turn: int
    person: Person
    text: str
    media: tuple[Media, ...]
    sent_at: float
    reply: str | None
    replied_at: float | None
    source: str
    error: str
    mood: Label | None
    votes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """A part of a conversation, oldest first. The part before it ends `before` a turn; 0 if there is none."""

    turns: tuple[Spoken, ...]
    before: int


def page(connection: sa.Connection, before: int = 0, limit: int = PAGE) -> tuple[Listed, ...]:
    """The conversations whose last turn is `before` a turn, or all, latest first.

    This reads the index `turns_conversation` from beginning to end: no other verb needs one by the last turn.
    """
    last = sa.func.max(turns.c.id).label("last")
    query = sa.select(turns.c.conversation, last, sa.func.count().label("many")).group_by(turns.c.conversation)
    rows = connection.execute(
        (query.having(last < before) if before else query).order_by(last.desc()).limit(limit)
    ).all()
    lately = sa.select(turns.c.id, turns.c.accepted_at).where(turns.c.id.in_([row.last for row in rows]))
    times = {row.id: row.accepted_at for row in connection.execute(lately)}
    return tuple(
        Listed(key=ConversationKey.parse(row.conversation), turns=row.many, last_turn=row.last, last_at=times[row.last])
        for row in rows
    )


def of_turn(connection: sa.Connection, turn_id: int) -> ConversationKey | None:
    """The conversation of a turn: a name for it that tells nobody's id."""
    key = connection.scalar(sa.select(turns.c.conversation).where(turns.c.id == turn_id))
    return None if key is None else ConversationKey.parse(key)


def said(connection: sa.Connection, conversation: ConversationKey, before: int = 0, limit: int = PAGE) -> Extract:
    """The latest turns of a conversation `before` a turn, or of all, without what was withdrawn or is being forgotten.

    They are found in the index first: rows are long, and a conversation may have very many.
    """
    here = sa.select(turns.c.id).where(turns.c.conversation == str(conversation))
    finding = (here.where(turns.c.id < before) if before else here).order_by(turns.c.id.desc()).limit(limit)
    ids = connection.scalars(finding).all()
    is_said = sa.and_(turns.c.id.in_(ids), ~turns.c.leaving, turns.c.error.is_distinct_from(WITHDRAWN.error))
    columns = [*(turns.c[name] for name in SAID), people.c.key.label("person")]
    joined = sa.select(*columns).join(people, people.c.id == turns.c.person_id)
    rows = connection.execute(joined.where(is_said).order_by(turns.c.id)).all()
    cast = _votes(connection, ids)
    spoken = tuple(_spoken(row, tuple(cast.get(row.id, ()))) for row in rows)
    return Extract(turns=spoken, before=ids[-1] if len(ids) == limit else 0)


def _votes(connection: sa.Connection, turn_ids: Sequence[int]) -> Mapping[int, list[int]]:
    cast: dict[int, list[int]] = {}
    query = sa.select(votes.c.turn_id, votes.c.vote).where(votes.c.turn_id.in_(turn_ids))
    for turn_id, vote in connection.execute(query):
        cast.setdefault(turn_id, []).append(vote)
    return cast


def _spoken(row: sa.Row[tuple[object, ...]], cast: tuple[int, ...]) -> Spoken:
    return Spoken(
        turn=row.id,
        person=Person.parse(row.person),
        text=row.text,
        media=row.media,
        sent_at=row.sent_at,
        reply="" if row.at_desk else row.reply,  # what is passed on to operators is the text again
        replied_at=row.finished_at,
        source=row.source or "",
        error=row.error or "",
        mood=Label(row.mood_label) if row.mood_label else None,
        votes=cast,
    )
