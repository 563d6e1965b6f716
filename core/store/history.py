"""The history of a conversation: its answered turns that are marked as remembered."""

from dataclasses import dataclass, replace

import sqlalchemy as sa

from core.messages import ConversationKey, Exchange, Message, Person
from core.parts import in_history
from core.store.schema import people, turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Size of a history in tokens, and whether all people of a conversation share one."""

    max_tokens: int
    shared: bool


def load(connection: sa.Connection, conversation: ConversationKey, person: Person | None) -> tuple[Exchange, ...]:
    """The exchanges of a person, or of everybody if it is None, oldest first."""
    rows = connection.execute(sa.select(turns).where(_remembered(conversation, person)).order_by(turns.c.id))
    return tuple(
        Exchange(question=in_history(row.text, row.quotes, row.media, row.locale), answer=row.reply, tokens=row.tokens)
        for row in rows
    )


def trim(connection: sa.Connection, conversation: ConversationKey, person: Person | None, max_tokens: int) -> None:
    """Remove the older half of a history, repeatedly until it is at most `max_tokens`.

    Removing one exchange at a time would change the beginning of every prompt, and miss the engine's prefix cache.
    """
    query = sa.select(turns.c.id, turns.c.tokens).where(_remembered(conversation, person)).order_by(turns.c.id)
    kept = connection.execute(query).all()
    while kept and sum(row.tokens for row in kept) > max_tokens:
        older, kept = kept[: (len(kept) + 1) // 2], kept[(len(kept) + 1) // 2 :]
        _remove(connection, turns.c.id.in_([row.id for row in older]))


def reset(connection: sa.Connection, conversation: ConversationKey, person: Person | None) -> None:
    """Remove all exchanges from the history."""
    _remove(connection, _remembered(conversation, person))


def take_back(connection: sa.Connection, message: Message, turn_id: int) -> Message | None:
    """Remove the sender's last exchange and give its question to the turn `turn_id`, which is that of `message`.

    Returns the message with all parts of the question, or None if there is no exchange.
    """
    theirs = _remembered(message.conversation, message.sender)
    query = sa.select(turns).where(theirs).order_by(turns.c.id.desc())
    last = connection.execute(query.limit(1)).one_or_none()
    if last is None:
        return None
    _remove(connection, turns.c.id == last.id)
    parts = {"text": last.text, "quotes": last.quotes, "media": last.media}
    connection.execute(turns.update().where(turns.c.id == turn_id).values(parts))
    return replace(message, **parts)


def has_taken_part(connection: sa.Connection, conversation: ConversationKey) -> bool:
    """Whether the bot has accepted a message in this conversation."""
    asked = sa.and_(turns.c.conversation == str(conversation), turns.c.error.is_distinct_from("not_allowed"))
    query = sa.select(turns.c.id).where(asked)
    return connection.execute(query.limit(1)).first() is not None


def _remembered(conversation: ConversationKey, person: Person | None) -> sa.ColumnElement[bool]:
    here = sa.and_(turns.c.conversation == str(conversation), turns.c.remembered)
    if person is None:
        return here
    person_id = sa.select(people.c.id).where(people.c.key == str(person)).scalar_subquery()
    return sa.and_(here, turns.c.person_id == person_id)


def _remove(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    connection.execute(turns.update().where(which).values(remembered=False))
