"""The history of a conversation: its answered turns that are marked as remembered."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import cast

import sqlalchemy as sa

from core.errors import NOT_ALLOWED
from core.i18n import say
from core.messages import ConversationKey, Exchange, Locale, Person, Source
from core.parts import in_history
from core.store.people import id_of
from core.store.schema import people, turns
from core.text import CUT

ASKED_BY = sa.func.coalesce(sa.func.nullif(turns.c.again, 0), turns.c.id)
"""The turn that asked a turn's question first."""
IS_REMEMBERED = turns.c.remembered == sa.true()
"""Spelled like the condition of the index `turns_remembered`: a long conversation has few turns in its history."""
HERE = turns.c.conversation == sa.bindparam("here")
THEIRS = turns.c.person_id == sa.select(people.c.id).where(people.c.key == sa.bindparam("name")).scalar_subquery()


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Size of a history in tokens, and whether all people of a conversation share one."""

    max_tokens: int
    shared: bool


def load(
    connection: sa.Connection, conversation: ConversationKey, person: Person | None, *, before: int = 0
) -> tuple[Exchange, ...]:
    """The exchanges of a person, or of everybody if it is None, oldest first.

    `before` is the turn of a question, or 0: only what was asked before it is loaded, each with its latest answer.
    """
    rows = connection.execute(_remembered(is_shared=person is None), {**_place(conversation, person), "before": before})
    return tuple(_exchanges(rows))


def trim(connection: sa.Connection, conversation: ConversationKey, person: Person | None, max_tokens: int) -> None:
    """Remove the older half of a history, repeatedly until it is at most `max_tokens`.

    Removing one exchange at a time would change the beginning of every prompt, and miss the engine's prefix cache.
    """
    kept = connection.execute(_sizes(is_shared=person is None), _place(conversation, person)).all()
    while kept and sum(row.tokens for row in kept) > max_tokens:
        older, kept = kept[: (len(kept) + 1) // 2], kept[(len(kept) + 1) // 2 :]
        _remove(connection, turns.c.id.in_([row.id for row in older]))


def reset(connection: sa.Connection, conversation: ConversationKey, person: Person | None) -> None:
    """Remove all exchanges from the history. What has been answered so far cannot be asked again by a button either."""
    answered = sa.and_(_said(conversation, person), turns.c.reply.is_not(None), sa.not_(turns.c.forgotten))
    connection.execute(turns.update().where(answered).values(remembered=False, forgotten=True))


def supersede(connection: sa.Connection, conversation: ConversationKey, turn_id: int) -> None:
    """Remove the other exchanges with the same question as a turn that asks one again."""
    connection.execute(_superseded(), {**_place(conversation, None), "turn": turn_id})


def has_taken_part(connection: sa.Connection, conversation: ConversationKey) -> bool:
    """Whether the bot has accepted a message in this conversation."""
    asked = sa.and_(turns.c.conversation == str(conversation), turns.c.error.is_distinct_from(NOT_ALLOWED))
    query = sa.select(turns.c.id).where(asked)
    return connection.execute(query.limit(1)).first() is not None


def has_accepted(connection: sa.Connection, conversation: ConversationKey, reference: str) -> bool:
    """Whether there is a turn of a message with this reference in this conversation."""
    query = sa.select(turns.c.id).where(turns.c.conversation == str(conversation), turns.c.reference == reference)
    return connection.execute(query.limit(1)).first() is not None


def has_heard(connection: sa.Connection, person: Person) -> bool:
    """Whether the bot has accepted a message of this person anywhere."""
    theirs = turns.c.person_id == id_of(person).scalar_subquery()
    query = sa.select(turns.c.id).where(theirs, turns.c.error.is_distinct_from(NOT_ALLOWED))
    return connection.execute(query.limit(1)).first() is not None


def remembered(conversation: ConversationKey, person: Person | None) -> sa.ColumnElement[bool]:
    """The turns that are the history of a person, or of everybody if it is None."""
    return sa.and_(_said(conversation, person), IS_REMEMBERED)


@cache
def _remembered(*, is_shared: bool) -> sa.Select[tuple[object, ...]]:
    """The turns of a history, in their order; those whose question was asked `before` a turn if that is not 0."""
    before = sa.bindparam("before", type_=sa.Integer)
    asked_before = sa.or_(before == 0, before > ASKED_BY)
    return sa.select(turns).where(_whose(is_shared=is_shared), IS_REMEMBERED, asked_before).order_by(turns.c.id)


@cache
def _sizes(*, is_shared: bool) -> sa.Select[int, int]:
    query = sa.select(turns.c.id, turns.c.tokens).where(_whose(is_shared=is_shared), IS_REMEMBERED)
    return query.order_by(turns.c.id)


@cache
def _superseded() -> sa.Update:
    turn = sa.bindparam("turn", type_=sa.Integer)
    question = sa.select(turns.c.again).where(turns.c.id == turn, turns.c.again != 0).scalar_subquery()
    others = sa.and_(HERE, IS_REMEMBERED, turns.c.id != turn, question == ASKED_BY)
    return turns.update().where(others).values(remembered=False)


def _whose(*, is_shared: bool) -> sa.ColumnElement[bool]:
    return HERE if is_shared else sa.and_(HERE, THEIRS)


def _place(conversation: ConversationKey, person: Person | None) -> Mapping[str, object]:
    return {"here": str(conversation), **({"name": str(person)} if person else {})}


def _exchanges(rows: Iterable[sa.Row[tuple[object, ...]]]) -> Iterator[Exchange]:
    """The exchanges of turns. In a hand-off several messages may follow each other on either side: they are joined."""
    questions: list[str] = []
    answers: list[str] = []
    tokens = 0
    locale: Locale = "en"
    for row in rows:
        if answers and (row.source != Source.PERSON or row.at_desk):
            yield _exchange(questions, answers, tokens, locale)
            questions, answers, tokens = [], [], 0
        locale, tokens = cast("Locale", row.locale), tokens + row.tokens
        if row.source != Source.PERSON or row.at_desk:
            questions.append(in_history(row.text, row.quotes, row.media, locale))
        if not row.at_desk:
            is_person = row.source == Source.PERSON
            answers.append(say(locale, "parts.person", words=row.reply) if is_person else row.reply)
    if questions or answers:
        yield _exchange(questions, answers, tokens, locale)


def _exchange(questions: Sequence[str], answers: Sequence[str], tokens: int, locale: Locale) -> Exchange:
    return Exchange(
        question="\n".join(questions) or CUT,
        answer="\n".join(answers) or say(locale, "parts.unanswered"),
        tokens=tokens,
    )


def _said(conversation: ConversationKey, person: Person | None) -> sa.ColumnElement[bool]:
    here = turns.c.conversation == str(conversation)
    if person is None:
        return here
    return sa.and_(here, turns.c.person_id == id_of(person).scalar_subquery())


def _remove(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    connection.execute(turns.update().where(which).values(remembered=False))
