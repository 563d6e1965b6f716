"""Accepts a message: in one transaction it is deduplicated, limited, and stored or refused."""

from dataclasses import dataclass, replace
from typing import TypeAlias

import sqlalchemy as sa

from core import amending, commands
from core.amending import JOINABLE, MAX_QUOTED_CHARACTERS
from core.apologies import refusal
from core.entry import ask_administrators
from core.errors import NotAllowed, QueueFull, Refusal, Throttled
from core.gathering import GATHERING
from core.i18n import say
from core.limits import Limits, check_allowed, check_load, check_size
from core.messages import Finish, Locale, Message, Reply, Source
from core.parts import fitted
from core.store import amendments, events, people, tombstones, turns
from core.text import clean

NOTICE_EVERY = 60.0
"""Seconds between two notices to the same person, so that a flood of messages is not answered with a flood."""
MAX_LANGUAGE_CHARACTERS = 1_000
"""Characters of a message from which its language is detected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The message is stored and will be answered. `interrupts` are the running turns that it stops."""

    turn_id: int
    interrupts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """The message was accepted or refused before, and may be forgotten since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The message gets a notice instead of an answer. `turn_id` is None if the notice follows another too soon."""

    error: Refusal
    notice: Reply
    turn_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing is stored and nothing answered."""


Outcome: TypeAlias = Accepted | Duplicate | Refused | Ignored


def accept(connection: sa.Connection, message: Message, limits: Limits, now: float) -> Accepted | Duplicate | Refused:
    """Deduplicate, limit and insert a message, or join it to the one that it belongs to.

    A message that its sender had forgotten is delivered again, by the platform or after a restored backup.
    """
    if message.sent_at < tombstones.forgotten_at(connection, message.sender):
        return Duplicate()
    if not events.remember(connection, message.event_keys, now):
        return Duplicate()
    outcome = _admit(connection, message, limits, now)
    if outcome.turn_id is not None:
        events.assign(connection, message.event_keys, outcome.turn_id)
    return outcome


def overhear(connection: sa.Connection, message: Message, limits: Limits, now: float) -> Outcome:
    """Accept a message only if it belongs to another one that was accepted."""
    if _joinable(connection, message, now) is None:
        return Ignored()
    return accept(connection, message, limits, now)


def _admit(connection: sa.Connection, message: Message, limits: Limits, now: float) -> Accepted | Refused:
    person = hear(connection, message)
    locale = person.languages.own_words(limits.locale)
    try:
        check_allowed(message, person, limits)
        if (call := commands.parse(message.text)) and call.command is commands.STOP:
            return _stop(connection, message, person, locale, now)
        if turn := _joinable(connection, message, now):
            must_stop = amending.join(connection, turn, cleaned(message), locale, limits.max_bytes, now)
            return Accepted(turn_id=turn.id, interrupts=(turn.id,) if must_stop else ())
        check_size(message.text, limits)
        check_load(connection, message.conversation.platform, person, limits, now)
    except Refusal as error:
        told = _with_request(connection, message, person, limits, now, error)
        return _refuse(connection, message, person, locale, told, now)
    not_before = now + GATHERING if message.ties.waits else 0.0
    return Accepted(turn_id=turns.add(connection, person.id, cleaned(message), locale, now, not_before=not_before))


def _with_request(
    connection: sa.Connection,
    message: Message,
    person: people.PersonRow,
    limits: Limits,
    now: float,
    error: Refusal,
) -> Refusal:
    """The refusal, which says that administrators were asked about a stranger if they were."""
    if not isinstance(error, NotAllowed) or not error.is_asked:
        return error
    is_asked = ask_administrators(connection, message.sender, person, limits.admins, limits.locale, now)
    return NotAllowed(person=error.person, is_asked=is_asked)


def _joinable(connection: sa.Connection, message: Message, now: float) -> sa.Row[tuple[object, ...]] | None:
    """The turn of the message that this one belongs to."""
    joins = message.ties.joins
    if not joins:
        return None
    return amendments.find_open(connection, message.sender, message.conversation, joins, now - JOINABLE)


def hear(connection: sa.Connection, message: Message) -> people.PersonRow:
    """The sender of a message, with the language of its words."""
    return people.hear(connection, message.sender, message.text[:MAX_LANGUAGE_CHARACTERS])


def cleaned(message: Message) -> Message:
    """The message with clean words, and no more quotes than are stored."""
    quotes = [replace(quote, text=clean(quote.text)) for quote in message.quotes]
    told = fitted([quote for quote in quotes if quote.text or quote.media], MAX_QUOTED_CHARACTERS)
    return replace(message, text=clean(message.text), quotes=told, media=tuple(dict.fromkeys(message.media)))


def _stop(
    connection: sa.Connection, message: Message, person: people.PersonRow, locale: Locale, now: float
) -> Accepted:
    """Answer /stop at once: it cannot wait in the queue behind the turns that it ends."""
    running, reply = stopped(connection, message, person, locale, now)
    turn_id = turns.add(connection, person.id, cleaned(message), locale, now, reply)
    return Accepted(turn_id=turn_id, interrupts=running)


def stopped(
    connection: sa.Connection, message: Message, person: people.PersonRow, locale: Locale, now: float
) -> tuple[tuple[int, ...], Reply]:
    """Stop the person's turns in a conversation; those that are running, and the reply to /stop."""
    ended = Reply(text=say(locale, "command.stopped"), source=Source.REFUSAL, finish=Finish.STOPPED)
    running, waiting = turns.stop(connection, message.conversation, person.id, ended, now)
    key = "command.stopped" if running or waiting else "command.nothing_to_stop"
    return running, Reply(text=say(locale, key), source=Source.COMMAND)


def _refuse(
    connection: sa.Connection,
    message: Message,
    person: people.PersonRow,
    locale: Locale,
    error: Refusal,
    now: float,
) -> Refused:
    """Insert the notice as an answered turn without the refused text, unless a recent notice stands."""
    notice = refusal(error, locale)
    if isinstance(error, NotAllowed | Throttled | QueueFull):
        if 0 <= now - person.noticed_at < NOTICE_EVERY:  # a time in the future was stored before the clock was set
            return Refused(error=error, notice=notice, turn_id=None)
        people.set_noticed(connection, person.id, now)
    unread = replace(message, text="", quotes=(), media=())
    turn_id = turns.add(connection, person.id, unread, locale, now, notice)
    return Refused(error=error, notice=notice, turn_id=turn_id)
