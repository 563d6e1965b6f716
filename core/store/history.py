"""A person's past exchanges in one conversation: turns that are remembered."""

from dataclasses import dataclass

import sqlalchemy as sa

from core.messages import ConversationKey, Exchange, Person
from core.store.schema import people, turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How much is kept of a history, in tokens, and whether all people of a conversation share one."""

    max_tokens: int = 1024
    shared: bool = False


def load(connection: sa.Connection, conversation: ConversationKey, person: Person | None) -> tuple[Exchange, ...]:
    """What the person, or everybody where it is None, and the bot said here, oldest first."""
    rows = connection.execute(
        sa.select(turns.c.text, turns.c.reply, turns.c.tokens)
        .where(_remembered(conversation, person))
        .order_by(turns.c.id)
    )
    return tuple(Exchange(question=row.text, answer=row.reply, tokens=row.tokens) for row in rows)


def trim(connection: sa.Connection, conversation: ConversationKey, person: Person | None, max_tokens: int) -> None:
    """Keep a history within `max_tokens` by leaving out its older half, again while it does not fit.

    Dropping one exchange at a time would change the beginning of every following prompt, and with it all that the
    engine's prefix cache holds of the conversation.
    """
    query = sa.select(turns.c.id, turns.c.tokens).where(_remembered(conversation, person)).order_by(turns.c.id)
    kept = connection.execute(query).all()
    while kept and sum(row.tokens for row in kept) > max_tokens:
        older, kept = kept[: (len(kept) + 1) // 2], kept[(len(kept) + 1) // 2 :]
        _leave_out(connection, turns.c.id.in_([row.id for row in older]))


def reset(connection: sa.Connection, conversation: ConversationKey, person: Person | None) -> None:
    """Begin anew: nothing said so far will be read by the model again."""
    _leave_out(connection, _remembered(conversation, person))


def take_back(
    connection: sa.Connection, conversation: ConversationKey, person: Person, turn_id: int
) -> tuple[str, str] | None:
    """Forget the person's last exchange here; the turn `turn_id` asks its question again: its text and context.

    None if there is none.
    """
    query = sa.select(turns).where(_remembered(conversation, person)).order_by(turns.c.id.desc())
    last = connection.execute(query.limit(1)).one_or_none()
    if last is None:
        return None
    _leave_out(connection, turns.c.id == last.id)
    connection.execute(turns.update().where(turns.c.id == turn_id).values(text=last.text, context=last.context))
    return str(last.text), str(last.context)


def has_taken_part(connection: sa.Connection, conversation: ConversationKey) -> bool:
    """Whether the bot was ever asked for something in this conversation, by somebody it may talk to."""
    asked = sa.and_(turns.c.conversation == str(conversation), turns.c.error.is_distinct_from("not_allowed"))
    query = sa.select(turns.c.id).where(asked)
    return connection.execute(query.limit(1)).first() is not None


def _remembered(conversation: ConversationKey, person: Person | None) -> sa.ColumnElement[bool]:
    here = sa.and_(turns.c.conversation == str(conversation), turns.c.remembered)
    if person is None:
        return here
    person_id = sa.select(people.c.id).where(people.c.key == str(person)).scalar_subquery()
    return sa.and_(here, turns.c.person_id == person_id)


def _leave_out(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    connection.execute(turns.update().where(which).values(remembered=False))
