"""Offers a person when it does not go well: after two bad moods, two failures or two thumbs down in a row."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from core.commands import has_buttons, prefix_in
from core.delivery import Claim
from core.i18n import say
from core.messages import Choice, ConversationKey, Finish, Label, Locale, Message, Reply, Source
from core.store import handoffs, people, turns
from core.store.history import Keeping
from core.store.turns import UNTIMED, Took

IN_A_ROW = 2
"""Answers in a row that must go wrong in the same way before a person is offered."""
FAILURES = {Finish.ERROR, Finish.TIMEOUT}
SIGNS: Sequence[Callable[[sa.Row[tuple[object, ...]]], bool]] = (
    lambda answer: answer.mood_label == Label.NEGATIVE,
    lambda answer: answer.finish in FAILURES,
    lambda answer: answer.vote == -1,
)
"""Ways in which an answer goes wrong."""


def finish(
    connection: sa.Connection,
    claim: Claim,
    owner: str,
    reply: Reply,
    now: float,
    keeping: Keeping,
    *,
    took: Took = UNTIMED,
) -> bool:
    """`turns.finish`, which is followed by the offer of a person if the answer is one too many that goes wrong."""
    is_stored = turns.finish(connection, claim, owner, reply, now, keeping, took=took)
    if is_stored:
        offer_if_due(connection, claim.message, claim.locale, now)
    return is_stored


def offer_if_due(connection: sa.Connection, message: Message, locale: Locale, now: float) -> bool:
    """Offer a person to the sender of a message if their latest answers went wrong; whether it was offered."""
    person = people.find_or_add(connection, message.sender)
    latest = handoffs.answers(connection, person.id, message.conversation, IN_A_ROW)
    if len(latest) < IN_A_ROW or not any(all(map(is_wrong, latest)) for is_wrong in SIGNS):
        return False
    return offer(connection, message, locale, now, since=min(row.id for row in latest))


def offer(connection: sa.Connection, message: Message, locale: Locale, now: float, *, since: int = 0) -> bool:
    """Offer a person to the sender of a message, with a button; whether it was offered.

    It is not if a person is asked for already, or was offered after the turn `since`.
    """
    place = message.conversation
    person = people.find_or_add(connection, message.sender)
    if not has_buttons(place) or handoffs.of_customer(connection, person.id, place):
        return False
    if handoffs.was_offered(connection, person.id, place, since):
        return False
    offered = Message(
        event_keys=(),
        conversation=place,
        sender=message.sender,
        text="",
        sent_at=now,
        kind=message.kind,
        reference=message.reference,
    )
    turns.add(connection, person.id, offered, locale, now, offer_in(place, locale))
    return True


def offer_in(place: ConversationKey, locale: Locale) -> Reply:
    """The offer of a person, with a button."""
    words = say(locale, "handoff.offer", prefix=prefix_in(place))
    return Reply(text=words, source=Source.COMMAND, choices=(Choice.ASK,))
