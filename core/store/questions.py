"""The questions of turns, as buttons name them: whose they are, and the turns that ask them again."""

from dataclasses import dataclass, replace

import sqlalchemy as sa

from core.messages import ANSWERS, ConversationKey, Locale, Message, Person
from core.store.history import remembered
from core.store.people import id_of
from core.store.schema import turns
from core.store.states import DEAD, IS_OPEN, RUNNING, WAITING
from core.store.turns import add, message_of, with_senders


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a turn asks.

    `id` is the turn that asked it first: a question asked again is the same one. `is_known` is false if the person had
    it forgotten, and if it got no answer of the model.
    """

    id: int
    message: Message
    is_known: bool

    @property
    def asker(self) -> Person:
        return self.message.sender


def find(connection: sa.Connection, turn_id: int) -> Question | None:
    """The question of a turn; None if there is no such turn any more."""
    row = connection.execute(with_senders().where(turns.c.id == turn_id)).one_or_none()
    if row is None:
        return None
    is_known = row.source in ANSWERS and not row.forgotten
    return Question(id=row.again or row.id, message=message_of(row), is_known=is_known)


def is_asked_again(connection: sa.Connection, question: Question) -> bool:
    """Whether a turn that asks it again is waiting, running or not delivered yet."""
    query = sa.select(turns.c.id).where(IS_OPEN, turns.c.state != DEAD, turns.c.again == question.id)
    return connection.execute(query.limit(1)).first() is not None


def is_under_way(connection: sa.Connection, conversation: ConversationKey, person_id: int, text: str) -> bool:
    """Whether a person's message of this text has no answer yet in a conversation."""
    theirs = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == person_id, turns.c.text == text)
    return connection.execute(sa.select(turns.c.id).where(IS_OPEN, theirs).limit(1)).first() is not None


def ask_again(
    connection: sa.Connection, question: Question, person_id: int, reference: str, locale: Locale, now: float
) -> None:
    """Insert a waiting turn that asks the question again, where it was asked first."""
    message = replace(question.message, again=question.id, sent_at=now, reference=reference)
    add(connection, person_id, message, locale, now)


def ask_last_again(connection: sa.Connection, message: Message, turn_id: int) -> Message | None:
    """Give the sender's last question in the history to the turn `turn_id`, which is that of `message`.

    Returns the message with all parts of the question, or None if there is no question.
    """
    theirs = remembered(message.conversation, message.sender)
    last = connection.execute(sa.select(turns).where(theirs).order_by(turns.c.id.desc()).limit(1)).one_or_none()
    if last is None:
        return None
    parts = {"text": last.text, "quotes": last.quotes, "media": last.media, "again": last.again or last.id}
    connection.execute(turns.update().where(turns.c.id == turn_id).values(parts))
    return replace(message, **parts)


def suggestions(connection: sa.Connection, turn_id: int) -> tuple[str, ...]:
    """The questions that the reply of a turn suggests; none if there is no such turn any more."""
    found: tuple[str, ...] | None = connection.scalar(sa.select(turns.c.suggestions).where(turns.c.id == turn_id))
    return found or ()


def pick(connection: sa.Connection, message: Message, turn_id: int, number: int) -> Message | None:
    """Give the turn `turn_id` the question that the reply before it suggests with this number, counted from 1.

    Returns the message with that question and without quotes; None if there is no question of that number.
    """
    theirs = sa.and_(turns.c.conversation == str(message.conversation), turns.c.id < turn_id)
    whose = turns.c.person_id == id_of(message.sender).scalar_subquery()
    before = sa.select(sa.func.max(turns.c.id)).where(theirs, whose)
    suggested = dict(enumerate(suggestions(connection, connection.scalar(before) or 0), start=1))
    if number not in suggested:
        return None
    connection.execute(turns.update().where(turns.c.id == turn_id).values(text=suggested[number], quotes=()))
    return replace(message, text=suggested[number], quotes=())


def others_wait(connection: sa.Connection, conversation: ConversationKey, person_id: int, turn_id: int) -> bool:
    """Whether another person's question is unanswered in a conversation; or of one turn, if `turn_id` is not 0."""
    theirs = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id != person_id)
    unanswered = turns.c.state.in_([WAITING, RUNNING])
    query = sa.select(turns.c.id).where(IS_OPEN, theirs, unanswered)
    return connection.execute(query.where(turns.c.id == turn_id) if turn_id else query).first() is not None
