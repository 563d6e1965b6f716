"""Changes to the message of a turn after it was accepted, because more of it comes."""

from collections.abc import Collection, Mapping
from itertools import takewhile

import sqlalchemy as sa

from core.messages import ConversationKey, Person, Reply
from core.store.schema import people, turns
from core.store.turns import ANSWERED, RUNNING, WAITING, reply_values

NO_REPLY: Mapping[str, object] = dict.fromkeys(
    (
        *("reply", "source", "finish", "error", "mood_label", "mood_confidence", "show_mood"),
        *("prompt_tokens", "completion_tokens", "cached_tokens", "finished_at"),
    )
)


def find_open(
    connection: sa.Connection, sender: Person, conversation: ConversationKey, names: Collection[str], since: float
) -> sa.Row[tuple[object, ...]] | None:
    """The sender's latest turn in a conversation, accepted `since` a time, that is open to one of the names."""
    whose = sa.select(people.c.id).where(people.c.key == str(sender)).scalar_subquery()
    here = sa.and_(turns.c.conversation == str(conversation), turns.c.person_id == whose)
    query = sa.select(turns).where(here).order_by(turns.c.id.desc()).execution_options(yield_per=16)
    with connection.execute(query) as latest_first:  # read to the first one that is too old, not to the beginning
        lately = takewhile(lambda row: row.accepted_at >= since, latest_first)
        return next((row for row in lately if set(names) & set(row.opens)), None)


def amend(
    connection: sa.Connection,
    turn: sa.Row[tuple[object, ...]],
    message: Mapping[str, object],
    now: float,
    reply: Reply | None = None,
) -> None:
    """Give a turn another message. It is answered instead of the old one, or with `reply` if there is one.

    A leased turn is only marked: its owner reopens it. An answered one is answered anew, in the same messages.
    """
    is_leased, is_answered = turn.owner != "", turn.reply is not None
    values = {**message, **(NO_REPLY if reply is None else reply_values(reply, now)), "tokens": 0, "remembered": False}
    values["faults"] = 0
    values["state"] = RUNNING if is_leased else WAITING if reply is None else ANSWERED
    values["changed"] = is_leased
    values["revised"] = turn.revised or is_answered
    if is_answered and not is_leased:
        values["attempts"] = 0
    note(connection, turn, values)


def note(connection: sa.Connection, turn: sa.Row[tuple[object, ...]], values: Mapping[str, object]) -> None:
    """Store what has become of a turn's message, which changes nothing for its answer."""
    connection.execute(turns.update().where(turns.c.id == turn.id).values(**values))
