"""Accepts a message: in one transaction it is deduplicated, limited, and stored or refused."""

from dataclasses import dataclass, replace
from typing import TypeAlias

import sqlalchemy as sa

from core import amending, commands
from core.amending import JOINABLE, MAX_QUOTED_CHARACTERS
from core.apologies import refusal
from core.entry import ask_administrators
from core.errors import NotAllowed, NotAnOperator, NotNow, QueueFull, Refusal, Throttled
from core.gathering import GATHERING
from core.handoff import relaying, taking
from core.handoff.notes import tell_operators_why
from core.handoff.relaying import Said
from core.help_desk import HelpDesk
from core.i18n import say
from core.limits import Limits, check_allowed, check_load, check_size, throttle
from core.messages import Finish, Locale, Message, Reply, Source
from core.parts import fitted
from core.store import amendments, events, handoffs, people, tombstones, turns
from core.store.alone import alone
from core.store.handoffs import TAKEN
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
    """The message gets a notice instead of an answer. `turn_id` is None if the notice follows another too soon, or if a
    program is told to wait: it reads no notices, and may send the same message again.
    """

    error: Refusal
    notice: Reply
    turn_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing is stored and nothing answered."""


Outcome: TypeAlias = Accepted | Duplicate | Refused | Ignored


def accept(connection: sa.Connection, message: Message, limits: Limits, now: float) -> Accepted | Duplicate | Refused:
    """Deduplicate, limit and insert a message, or join it to the one that it belongs to."""
    return _from_operator(connection, message, limits, now) or _from_person(connection, message, limits, now)


def _from_operator(
    connection: sa.Connection, message: Message, limits: Limits, now: float
) -> Accepted | Duplicate | Refused | None:
    """Hear a message that is written in the thread of a hand-off; None if it is not."""
    if limits.help_desk and (said := relaying.read(connection, message, limits.help_desk)):
        alone(connection)
        return _hear_operator(connection, message, said, limits.help_desk, limits, now)
    return None


def _from_person(
    connection: sa.Connection, message: Message, limits: Limits, now: float
) -> Accepted | Duplicate | Refused:
    """Take a message of anybody else. One that its sender had forgotten is delivered again, by the platform or after a
    restored backup.
    """
    if message.sent_at < tombstones.forgotten_at(connection, message.sender):
        return Duplicate()
    if not events.remember(connection, message.event_keys, now):
        return Duplicate()
    outcome = _admit(connection, message, limits, now)
    if outcome.turn_id is not None:
        events.assign(connection, message.event_keys, outcome.turn_id)
    elif _is_program_to_wait(message, outcome):
        events.forget(connection, message.event_keys)
    return outcome


def _is_program_to_wait(message: Message, outcome: Accepted | Refused) -> bool:
    return message.sender.program != "" and isinstance(outcome, Refused) and isinstance(outcome.error, NotNow)


def overhear(connection: sa.Connection, message: Message, limits: Limits, now: float) -> Outcome:
    """Accept a message only if it belongs to another one that was accepted, or is an operator's."""
    if heard := _from_operator(connection, message, limits, now):
        return heard
    if _joinable(connection, message, now) is None:
        return Ignored()
    return _from_person(connection, message, limits, now)


def _admit(connection: sa.Connection, message: Message, limits: Limits, now: float) -> Accepted | Refused:
    person = hear(connection, message)
    locale = person.languages.own_words(limits.locale)
    try:
        check_allowed(message, person, limits)
        if (call := commands.parse(message.text)) and call.command is commands.STOP:
            alone(connection)
            return _stop(connection, message, person, locale, limits.help_desk, now)
        if turn := _joinable(connection, message, now):
            alone(connection)
            must_stop = amending.join(connection, turn, cleaned(message), locale, limits.max_bytes, now)
            return Accepted(turn_id=turn.id, interrupts=(turn.id,) if must_stop else ())
        check_size(message.text, limits)
        if handoff := _taken(connection, message, person, limits):
            alone(connection)
            if message.conversation.platform not in limits.exempt:
                throttle(connection, person, limits, now)
            turn_id = relaying.pass_on(connection, cleaned(message), person.id, locale, handoff, now)
            return Accepted(turn_id=turn_id)
        check_load(connection, message.conversation.platform, person, limits, now)
    except Refusal as error:
        told = _with_request(connection, message, person, limits, now, error)
        return _refuse(connection, message, person, locale, told, now)
    not_before = now + GATHERING if message.ties.waits else 0.0
    return Accepted(turn_id=turns.add(connection, person.id, cleaned(message), locale, now, not_before=not_before))


def _taken(
    connection: sa.Connection, message: Message, person: people.PersonRow, limits: Limits
) -> sa.Row[tuple[object, ...]] | None:
    """The hand-off of a message for the person who has taken the conversation over. Commands are for the bot."""
    call = commands.parse(message.text)
    if limits.help_desk is None or (call and call.command):
        return None
    found = handoffs.of_customer(connection, person.id, message.conversation)
    return found if found is not None and found.state == TAKEN else None


def _hear_operator(
    connection: sa.Connection, message: Message, said: Said, desk: HelpDesk, limits: Limits, now: float
) -> Accepted | Duplicate | Refused:
    """Do what an operator says in the thread of a hand-off. What others write there reaches no customer."""
    if not desk.trusts(message.sender):
        error = NotAnOperator()
        return Refused(error=error, notice=refusal(error, desk.locale), turn_id=None)
    if not events.remember(connection, message.event_keys, now):
        return Duplicate()
    heard = cleaned(message)
    try:
        check_size(heard.text, limits)
        running, turn_id = taking.obey(connection, heard, said, desk, now)
    except Refusal as error:
        tell_operators_why(connection, said.handoff, refusal(error, desk.locale), desk, now)
        return Accepted(turn_id=0)
    if turn_id:
        events.assign(connection, message.event_keys, turn_id)
    return Accepted(turn_id=turn_id, interrupts=running)


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
    alone(connection)
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
    connection: sa.Connection,
    message: Message,
    person: people.PersonRow,
    locale: Locale,
    desk: HelpDesk | None,
    now: float,
) -> Accepted:
    """Answer /stop at once: it cannot wait in the queue behind the turns that it ends."""
    running, reply = stopped(connection, message, person, locale, desk, now)
    turn_id = turns.add(connection, person.id, cleaned(message), locale, now, reply)
    return Accepted(turn_id=turn_id, interrupts=running)


def stopped(
    connection: sa.Connection,
    message: Message,
    person: people.PersonRow,
    locale: Locale,
    desk: HelpDesk | None,
    now: float,
) -> tuple[tuple[int, ...], Reply]:
    """Stop the person's turns in a conversation; those that are running, and the reply to /stop. It also ends a
    hand-off.
    """
    if desk and (handoff := handoffs.of_customer(connection, person.id, message.conversation)):
        taking.end(connection, handoff, desk, "leave", now)
        return (), Reply(text=say(locale, "handoff.left"), source=Source.COMMAND)
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
    """Insert the notice as an answered turn without the refused text, unless a recent notice stands or a program may
    try again.
    """
    notice = refusal(error, locale)
    if message.sender.program and isinstance(error, NotNow):
        return Refused(error=error, notice=notice, turn_id=None)
    if isinstance(error, NotAllowed | Throttled | QueueFull):
        if 0 <= now - person.noticed_at < NOTICE_EVERY:  # a time in the future was stored before the clock was set
            return Refused(error=error, notice=notice, turn_id=None)
        people.set_noticed(connection, person.id, now)
    unread = replace(message, text="", quotes=(), media=())
    turn_id = turns.add(connection, person.id, unread, locale, now, notice)
    return Refused(error=error, notice=notice, turn_id=turn_id)
