"""Changes to the message of a turn after it was accepted: more of it comes, or its sender edits or deletes it."""

from collections.abc import Collection, Mapping, Sequence
from itertools import takewhile

import sqlalchemy as sa

from core.messages import ConversationKey, Person, Reply
from core.store import stale_scopes
from core.store.notices import Notice, Topic, send
from core.store.people import id_of
from core.store.removal import note_words, remove_turns
from core.store.schema import turns, votes
from core.store.states import ANSWERED, RUNNING, WAITING
from core.store.turns import QUOTES, reply_values, with_senders

NO_REPLY: Mapping[str, object] = dict.fromkeys(
    (
        *("reply", "source", "finish", "error", "mood_label", "mood_confidence", "show_mood", "cites"),
        *("prompt_tokens", "completion_tokens", "cached_tokens", "finished_at"),
    )
)


def find_open(
    connection: sa.Connection, sender: Person, conversation: ConversationKey, names: Collection[str], since: float
) -> sa.Row[tuple[object, ...]] | None:
    """The sender's latest turn in a conversation, accepted `since` a time, that is open to one of the names."""
    whose = id_of(sender).scalar_subquery()
    here = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == whose)
    query = sa.select(turns).where(here).order_by(turns.c.id.desc()).execution_options(yield_per=16)
    with connection.execute(query) as latest_first:  # read to the first one that is too old, not to the beginning
        lately = takewhile(lambda row: row.accepted_at >= since, latest_first)
        return next((row for row in lately if set(names) & set(row.opens)), None)


def find(connection: sa.Connection, turn_id: int | None) -> sa.Row[tuple[object, ...]] | None:
    """The turn, with the `person` who sent its message; None if there is none any more."""
    return connection.execute(with_senders().where(turns.c.id == turn_id)).one_or_none()


def askings(connection: sa.Connection, turn_id: int) -> Sequence[sa.Row[tuple[object, ...]]]:
    """The turn and those that ask its question again, oldest first."""
    query = sa.select(turns).where(sa.or_(turns.c.id == turn_id, turns.c.again == turn_id))
    return connection.execute(query.order_by(turns.c.id)).all()


def is_newest(connection: sa.Connection, turn: sa.Row[tuple[object, ...]]) -> bool:
    """Whether its sender has asked nothing since in the conversation."""
    here = sa.and_(turns.c.conversation == turn.conversation, turns.c.person_id == turn.person_id)
    return bool(connection.scalar(sa.select(sa.func.max(turns.c.id)).where(here)) == turn.id)


def amend(
    connection: sa.Connection,
    turn: sa.Row[tuple[object, ...]],
    message: Mapping[str, object],
    now: float,
    reply: Reply | None = None,
) -> None:
    """Give a turn another message. It is answered instead of the old one, or with `reply` if there is one.

    A leased turn is only marked: its owner reopens it. An answered one is answered anew, in the same messages, and
    loses the votes on its old answer.
    """
    is_leased, is_answered = turn.owner != "", turn.reply is not None
    values = {**message, **(NO_REPLY if reply is None else reply_values(reply, now)), "tokens": 0, "remembered": False}
    values.setdefault("choices", ())
    values.setdefault("suggestions", ())
    values["faults"] = 0
    values["state"] = RUNNING if is_leased else WAITING if reply is None else ANSWERED
    values["changed"] = is_leased
    values["revised"] = turn.revised or is_answered
    if not is_leased:
        values["attempts"] = 0
    if is_answered:
        connection.execute(votes.delete().where(votes.c.turn_id == turn.id))
    note(connection, turn, values)
    if is_leased:
        send(connection, Notice(topic=Topic.CHANGED, turn_id=turn.id))


def note(connection: sa.Connection, turn: sa.Row[tuple[object, ...]], values: Mapping[str, object]) -> None:
    """Store what has become of a turn's message, which changes nothing for its answer."""
    connection.execute(turns.update().where(turns.c.id == turn.id).values(**values))


def remove(connection: sa.Connection, turn: sa.Row[tuple[object, ...]]) -> None:
    """Delete a turn of which nothing is shown."""
    remove_turns(connection, turns.c.id == turn.id)


def unquote(connection: sa.Connection, conversation: str, text: str) -> None:
    """Delete quotes of a text from all messages of a conversation."""
    quoting = sa.and_(turns.c.conversation == conversation, QUOTES)
    for row in connection.execute(sa.select(turns).where(quoting)).all():
        kept = tuple(quote for quote in row.quotes if quote.text != text)
        if kept != row.quotes:
            stale_scopes.note(connection, turns.c.id == row.id)
            note(connection, row, {"quotes": kept})
            note_words(connection)
