"""Words of the customer are passed on to the operators, and those of the owner to the customer.

Each message is a turn whose reply is what was said. It is delivered in the other conversation like an answer, and is
part of the customer's history.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from core import commands
from core.engine.estimate import estimate_tokens
from core.handoff.notes import post_to_customer, post_to_operators, prefix_in_thread, tell_operators
from core.handoff.words import passed_on
from core.help_desk import HelpDesk
from core.i18n import say
from core.messages import WITHDRAWN, Choice, ConversationKey, Locale, Message, Person, Reply, Source
from core.store import amendments, events, handoffs, turns
from core.store.handoffs import CLOSED, TAKEN


def words_of(text: str) -> Reply:
    """What a person has said, for the person at the other end."""
    return Reply(text=text, source=Source.PERSON, tokens=estimate_tokens(text))


def pass_on(
    connection: sa.Connection,
    message: Message,
    person_id: int,
    locale: Locale,
    handoff: sa.Row[tuple[object, ...]],
    now: float,
) -> int:
    """Insert the turn of a customer's message, which operators are shown; its id."""
    said = words_of(passed_on(message.text, message.quotes, message.media, locale))
    front = ConversationKey.parse(handoff.desk).front
    return turns.add(connection, person_id, message, locale, now, said, handoff_id=handoff.id, desk_front=front)


def pass_on_turn(
    connection: sa.Connection,
    row: sa.Row[tuple[object, ...]],
    handoff: sa.Row[tuple[object, ...]],
    desk: HelpDesk,
    now: float,
    *,
    is_copy: bool = False,
) -> None:
    """Show the message of a waiting turn to the operators instead of having the model answer it.

    Of a turn of which something is shown to the customer, a copy is made, to which later edits belong.
    """
    said = words_of(passed_on(row.text, row.quotes, row.media, desk.locale))
    if is_copy:
        copy = post_to_operators(connection, handoff, desk.locale, said, now, text=row.text)
        events.reassign(connection, row.id, copy)
        return
    front = ConversationKey.parse(handoff.desk).front
    amendments.amend(connection, row, {"front": front, "at_desk": True, "handoff_id": handoff.id}, now, said)
    _remember(connection, row, said)


def revised(
    connection: sa.Connection, row: sa.Row[tuple[object, ...]], values: Mapping[str, object], now: float
) -> None:
    """Change what operators are shown of a customer's message, which says something else now."""
    text, quotes, media = (values.get(part, getattr(row, part)) for part in ("text", "quotes", "media"))
    said = words_of(passed_on(text, quotes, media, row.locale))  # type: ignore[arg-type]  # columns of a message
    amendments.amend(connection, row, values, now, said)
    _remember(connection, row, said)


def _remember(connection: sa.Connection, row: sa.Row[tuple[object, ...]], said: Reply) -> None:
    amendments.note(connection, row, {"tokens": said.tokens, "remembered": True})
    if row.owner:
        return
    amendments.note(connection, row, {"attempts": 0})


def send(connection: sa.Connection, handoff: sa.Row[tuple[object, ...]], text: str, now: float) -> int:
    """Insert the turn that shows an operator's words to the customer; its id."""
    return post_to_customer(connection, handoff, words_of(text), now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an operator has said in the thread of a hand-off: words, or a command about it."""

    handoff: sa.Row[tuple[object, ...]]
    does: Literal["words", "take", "back", "close"]


DEEDS: Mapping[commands.Command, Literal["take", "back", "close"]] = {
    commands.TAKE: "take",
    commands.BACK: "back",
    commands.CLOSE: "close",
}


def thread_of(connection: sa.Connection, message: Message, desk: HelpDesk) -> sa.Row[tuple[object, ...]] | None:
    """The hand-off in whose thread a message is written; None if it is not for a customer.

    In a chat without topics, a message belongs to the thread of what it replies to.
    """
    found = handoffs.of_thread(connection, desk.place, message.conversation.thread)
    for reference in message.replies_to:
        found = found or handoffs.of_thread(connection, desk.place, reference)
        found = found or handoffs.of_shown(connection, desk.place, reference)
    return found


def read(connection: sa.Connection, message: Message, desk: HelpDesk) -> Said | None:
    """What a message says to the customer or about the hand-off; None if it is no message of a hand-off's thread.

    Other commands are for the bot.
    """
    handoff = thread_of(connection, message, desk)
    call = commands.parse(message.text)
    if handoff is None or (call and call.command and call.command not in DEEDS):
        return None
    return Said(handoff=handoff, does=DEEDS[call.command] if call and call.command else "words")


def hear(
    connection: sa.Connection, message: Message, handoff: sa.Row[tuple[object, ...]], desk: HelpDesk, now: float
) -> int | None:
    """Send an operator's words to the customer if the operator is the owner; otherwise ask what to do with them.

    Returns the turn, to which edits and a deletion of the message belong; None if there is nothing to send.
    """
    if handoff.state == CLOSED:
        tell_operators(connection, handoff, desk, "is_closed", now)
        return None
    if not message.text:
        tell_operators(connection, handoff, desk, "only_text", now)
        return None
    if handoff.owner == str(message.sender):
        handoffs.put_off(connection, handoff.id, now + desk.timeout)
        return send(connection, handoff, message.text, now)
    is_taken = handoff.state == TAKEN
    key = "not_yours_taken" if is_taken else "not_yours"
    choices = (Choice.SEND,) if is_taken else (Choice.TAKE, Choice.SEND)
    words = say(
        desk.locale, f"handoff.{key}", prefix=prefix_in_thread(desk), owner=owner_of(handoff), words=message.text[:80]
    )
    asked = Reply(text=words, source=Source.COMMAND, choices=choices)
    return post_to_operators(connection, handoff, desk.locale, asked, now, text=message.text)


def send_asked(
    connection: sa.Connection,
    row: sa.Row[tuple[object, ...]],
    handoff: sa.Row[tuple[object, ...]],
    desk: HelpDesk,
    now: float,
) -> None:
    """Send the words about which an operator was asked, once. Later edits of them reach the customer."""
    if Choice.SEND not in row.choices:
        return
    sent = send(connection, handoff, row.text, now)
    events.reassign(connection, row.id, sent)
    told = Reply(text=say(desk.locale, "handoff.sent"), source=Source.COMMAND)
    amendments.amend(connection, row, {"text": ""}, now, told)


def edit(connection: sa.Connection, row: sa.Row[tuple[object, ...]], message: Message, now: float) -> bool:
    """Change what the customer is shown of an operator's message; whether that is anything."""
    if not message.text or row.handoff_id is None or row.error == WITHDRAWN.error:
        return False
    if row.at_desk:  # it is not sent yet
        amendments.note(connection, row, {"text": message.text})
        return False
    if row.source != Source.PERSON or row.reply == message.text:
        return False
    said = words_of(message.text)
    amendments.amend(connection, row, {}, now, said)
    _remember(connection, row, said)
    return True


def owner_of(handoff: sa.Row[tuple[object, ...]]) -> str:
    """The name of the operator who has taken a conversation over; empty if none has."""
    return Person.parse(handoff.owner).name if handoff.owner else ""
