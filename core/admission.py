"""Accepts messages: each is committed to the store, or refused, before the platform gets its acknowledgement."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import sqlalchemy as sa

from core import amending, commands, editing
from core.access import is_allowed, is_open
from core.amending import JOINABLE, MAX_QUOTED_CHARACTERS
from core.apologies import refusal
from core.buttons import Press, Receipt
from core.clock import Clock
from core.entry import ask_administrators
from core.errors import Busy, NotAllowed, QueueFull, Refusal, Throttled, TooLong
from core.gathering import GATHERING
from core.greeting import Words, greet
from core.i18n import say
from core.messages import (
    WITHDRAWN,
    ConversationKey,
    Deletion,
    Edit,
    Finish,
    Kind,
    Locale,
    Message,
    Person,
    Reply,
    Source,
)
from core.parts import fitted
from core.store import Store, admissions, amendments, backlog, events, history, people, tombstones, turns
from core.store.turns import WAITING
from core.text import clean, size_in_bytes

NOTICE_EVERY = 60.0
"""Seconds between two notices to the same person, so that a flood of messages is not answered with a flood."""
MAX_LANGUAGE_CHARACTERS = 1_000
"""Characters of a message from which its language is detected."""
LATE = 600.0
"""Seconds after which a message no longer arrives. Slack's last attempt is five minutes after the first."""
ROUNDING = 1e-6
"""Tolerance in seconds for sums of floats, so that a burst of five is five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits for each person; sizes in bytes, times in seconds.

    `slots` is how many turns run at once. People on `exempt` platforms have no rate limit. `allow` lists who may write,
    as `core/access.py` reads it. If `asks_admins`, the `admins` are asked about others. `locale` is the language of the
    bot's own words; None selects each person's.
    """

    per_minute: float
    burst: int
    max_bytes: int
    max_queued: int
    max_wait: float
    slots: int
    exempt: frozenset[str]
    allow: frozenset[str]
    admins: frozenset[str]
    asks_admins: bool
    locale: Locale | None


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

Action: TypeAlias = Callable[[sa.Connection, Press, people.PersonRow, Limits, float], Receipt]
"""What a button does for a person who may use the bot, at a time. It may raise a Refusal."""


class Workforce(Protocol):
    """The worker, as admission sees it."""

    def notify(self) -> None:
        """A turn is waiting."""

    def interrupt(self, turn_id: int) -> None:
        """Stop the reply to this turn."""


class Admission:
    """Accepts messages, one transaction each, and notifies the worker."""

    def __init__(self, store: Store, clock: Clock, limits: Limits, workforce: Workforce) -> None:
        self._store = store
        self._clock = clock
        self._limits = limits
        self._workforce = workforce

    async def accept(self, message: Message) -> Outcome:
        """Accept a message. Acknowledge it to the platform after this returns, and not if it raises StoreError."""
        return self._told(await self._store.run(accept, message, self._limits, self._clock.now()))

    async def overhear(self, message: Message) -> Outcome:
        """Accept a message that is not addressed to the bot if it belongs to one that is. Acknowledge it likewise."""
        return self._told(await self._store.run(overhear, message, self._limits, self._clock.now()))

    async def edit(self, edit: Edit) -> Outcome:
        """Accept what a person has made of their message. Acknowledge it likewise."""
        return self._told(await self._store.run(edit_, edit, self._limits, self._clock.now()))

    async def delete(self, deletion: Deletion) -> Outcome:
        """Forget a message that its sender has deleted, and its answer. Acknowledge it likewise."""
        return self._told(await self._store.run(delete, deletion, self._clock.now()))

    def _told(self, outcome: Outcome) -> Outcome:
        """The outcome, once the worker knows of it."""
        is_work = isinstance(outcome, Accepted | Refused) and outcome.turn_id is not None  # a suppressed notice is none
        self._tell(outcome.interrupts if isinstance(outcome, Accepted) else (), is_work=is_work)
        return outcome

    def _tell(self, interrupts: Iterable[int], *, is_work: bool) -> None:
        """Have the worker interrupt some turns, and look for work if there is any."""
        for turn_id in interrupts:
            self._workforce.interrupt(turn_id)
        if is_work:
            self._workforce.notify()

    async def allows(self, person: Person, place: ConversationKey) -> bool:
        """Whether this person may write in this place, or was let in. `accept` sends a notice to those who may not."""
        if is_allowed(person, place, self._limits.allow):
            return True
        return await self._store.read(admissions.is_admitted, person)

    async def greet(self, opening: Message, words: Words | None = None) -> None:
        """Greet a place, as if its person had typed the `opening`, with some words or by the command that it is.

        A group is greeted only if it is open to all, and a person only if they may talk to the bot.
        """
        is_group, place = opening.kind is Kind.GROUP, opening.conversation
        if not (is_open(place, self._limits.allow) if is_group else await self.allows(opening.sender, place)):
            return  # leaves no trace of a stranger
        is_work = await self._store.run(greet, opening, words, self._limits.locale, self._clock.now())
        self._tell((), is_work=is_work)

    async def language(self, person: Person) -> Locale:
        """The language of the bot's own words to a person who may talk to it."""
        row = await self._store.run(people.find_or_add, person)
        return row.languages.own_words(self._limits.locale)

    async def takes_part(self, conversation: ConversationKey) -> bool:
        """Whether the bot was addressed in this conversation before, so that it answers without being mentioned."""
        return await self._store.read(history.has_taken_part, conversation)

    async def has_accepted(self, conversation: ConversationKey, reference: str) -> bool:
        """Whether a message with this reference was accepted in this conversation."""
        return await self._store.read(history.has_accepted, conversation, reference)

    async def move(self, old: ConversationKey, new: ConversationKey) -> None:
        """Move history and open turns to the conversation's new key. Idempotent."""
        await self._store.run(turns.move, old, new)

    async def press(self, action: Action, press: Press) -> Receipt:
        """Do what a button does. Acknowledge the press after this returns, and not if it raises StoreError."""
        if not await self.allows(press.person, press.conversation):  # leaves no trace of a stranger
            locale = self._limits.locale or press.person.locale or "en"
            return _refused(NotAllowed(person=press.person.name), locale)
        receipt = await self._store.run(carry_out, action, press, self._limits, self._clock.now())
        self._tell(receipt.interrupts, is_work=receipt.is_work)
        return receipt


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


def edit_(connection: sa.Connection, edit: Edit, limits: Limits, now: float) -> Outcome:
    """Give a turn its edited message, or withdraw it if that is not for the bot any more.

    An edit may arrive before the message itself, which is then a duplicate. What is neither stored nor late was sent to
    others, or before the bot was there: it is left alone, like the edits of people who may not write.
    """
    if events.is_known(connection, edit.event_keys):
        return Duplicate()
    message = _cleaned(edit.message)
    if not _may_write(connection, message, limits):
        return Ignored()
    if events.is_known(connection, message.event_keys):
        events.remember(connection, edit.event_keys, now)
        return _edit_known(connection, message, limits, now, is_addressed=edit.is_addressed is not False)
    if not edit.is_addressed or now > message.sent_at + LATE:
        return Ignored()
    both = (*message.event_keys, *edit.event_keys)
    return accept(connection, replace(message, event_keys=both), limits, now)


def _edit_known(
    connection: sa.Connection, message: Message, limits: Limits, now: float, *, is_addressed: bool
) -> Outcome:
    turn = amendments.find(connection, events.turn_of(connection, message.event_keys))
    if turn is None or turn.person != str(message.sender) or turn.leaving or turn.error == WITHDRAWN.error:
        return Ignored()
    if is_addressed or len(amending.pieces_of(turn)) > 1:  # of several, one addresses the bot for all
        return _revise(connection, turn, message, limits, now)
    if turn.reply is not None:
        return Ignored()
    return Accepted(turn_id=turn.id, interrupts=editing.withdraw(connection, turn, now))


def delete(connection: sa.Connection, deletion: Deletion, now: float) -> Accepted | Ignored:
    """Withdraw the turn of a message, and delete the words from what quotes them.

    A message that is not known but may still arrive is made a duplicate.
    """
    if deletion.text:
        amendments.unquote(connection, str(deletion.conversation), clean(deletion.text))
    if not events.is_known(connection, deletion.event_keys):
        if now <= deletion.sent_at + LATE:
            events.remember(connection, deletion.event_keys, now)
        return Ignored()
    turn = amendments.find(connection, events.turn_of(connection, deletion.event_keys))
    if turn is None or turn.error == WITHDRAWN.error:
        return Ignored()
    return Accepted(turn_id=turn.id, interrupts=editing.withdraw(connection, turn, now))


def _revise(
    connection: sa.Connection, turn: sa.Row[tuple[object, ...]], message: Message, limits: Limits, now: float
) -> Accepted | Ignored:
    """Give a turn its edited message, if that changes anything."""
    changed = editing.changes(turn, message)
    if changed is None:
        return Ignored()
    person = people.hear(connection, message.sender, message.text[:MAX_LANGUAGE_CHARACTERS])
    locale = person.languages.own_words(limits.locale)
    if not _may_edit(connection, turn, message, person, limits, now):
        return Ignored()
    running: tuple[int, ...] = ()
    reply = None
    if (call := commands.parse(message.text)) and call.command is commands.STOP:
        running, reply = _stopped(connection, message, person, locale, now)
    edited = editing.edit(connection, turn, changed, locale, limits.max_bytes, now, reply=reply)
    return Accepted(turn_id=turn.id, interrupts=(*running, *edited))


def _may_edit(
    connection: sa.Connection,
    turn: sa.Row[tuple[object, ...]],
    message: Message,
    person: people.PersonRow,
    limits: Limits,
    now: float,
) -> bool:
    """Whether a person may edit a message now, which counts like a new one. A question that waits costs nothing more,
    so that it is always replaced.
    """
    if message.conversation.platform in limits.exempt:
        return True
    try:
        _throttle(connection, person, limits, now)
        if turn.reply is not None:
            _check_queue(connection, person, limits)
    except Refusal:
        return bool(turn.state == WAITING)
    return True


def _admit(connection: sa.Connection, message: Message, limits: Limits, now: float) -> Accepted | Refused:
    person = people.hear(connection, message.sender, message.text[:MAX_LANGUAGE_CHARACTERS])
    locale = person.languages.own_words(limits.locale)
    try:
        _check_allowed(message, person, limits)
        if (call := commands.parse(message.text)) and call.command is commands.STOP:
            return _stop(connection, message, person, locale, now)
        if turn := _joinable(connection, message, now):
            must_stop = amending.join(connection, turn, _cleaned(message), locale, limits.max_bytes, now)
            return Accepted(turn_id=turn.id, interrupts=(turn.id,) if must_stop else ())
        _check_size(message.text, limits)
        check_load(connection, message.conversation.platform, person, limits, now)
    except Refusal as error:
        told = _with_request(connection, message, person, limits, now, error)
        return _refuse(connection, message, person, locale, told, now)
    not_before = now + GATHERING if message.ties.waits else 0.0
    return Accepted(turn_id=turns.add(connection, person.id, _cleaned(message), locale, now, not_before=not_before))


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


def carry_out(connection: sa.Connection, action: Action, press: Press, limits: Limits, now: float) -> Receipt:
    """Deduplicate a press, and do what its button does. A press that was delivered before has an empty receipt."""
    if not events.remember(connection, press.event_keys, now):
        return Receipt()
    person = people.find_or_add(connection, press.person)
    try:
        return action(connection, press, person, limits, now)
    except Refusal as error:
        return _refused(error, person.languages.own_words(limits.locale))


def check_load(connection: sa.Connection, platform: str, person: people.PersonRow, limits: Limits, now: float) -> None:
    """Raises Throttled, QueueFull or Busy if a person may not ask one more question now."""
    if platform not in limits.exempt:
        _throttle(connection, person, limits, now)
        _check_queue(connection, person, limits)


def _refused(error: Refusal, locale: Locale) -> Receipt:
    notice = refusal(error, locale)
    return Receipt(notice=notice.text, error=notice.error)


def _cleaned(message: Message) -> Message:
    quotes = [replace(quote, text=clean(quote.text)) for quote in message.quotes]
    told = fitted([quote for quote in quotes if quote.text or quote.media], MAX_QUOTED_CHARACTERS)
    return replace(message, text=clean(message.text), quotes=told, media=tuple(dict.fromkeys(message.media)))


def _stop(
    connection: sa.Connection, message: Message, person: people.PersonRow, locale: Locale, now: float
) -> Accepted:
    """Answer /stop at once: it cannot wait in the queue behind the turns that it ends."""
    running, reply = _stopped(connection, message, person, locale, now)
    turn_id = turns.add(connection, person.id, _cleaned(message), locale, now, reply)
    return Accepted(turn_id=turn_id, interrupts=running)


def _stopped(
    connection: sa.Connection, message: Message, person: people.PersonRow, locale: Locale, now: float
) -> tuple[tuple[int, ...], Reply]:
    """Stop the person's turns in a conversation; those that are running, and the reply to /stop."""
    stopped = Reply(text=say(locale, "command.stopped"), source=Source.REFUSAL, finish=Finish.STOPPED)
    running, waiting = turns.stop(connection, message.conversation, person.id, stopped, now)
    key = "command.stopped" if running or waiting else "command.nothing_to_stop"
    return running, Reply(text=say(locale, key), source=Source.COMMAND)


def _may_write(connection: sa.Connection, message: Message, limits: Limits) -> bool:
    is_listed = is_allowed(message.sender, message.conversation, limits.allow)
    return is_listed or admissions.is_admitted(connection, message.sender)


def _check_allowed(message: Message, person: people.PersonRow, limits: Limits) -> None:
    """Raises NotAllowed. Administrators are asked about a stranger whom none has refused."""
    if not is_allowed(message.sender, message.conversation, limits.allow) and not person.admitted:
        raise NotAllowed(person=message.sender.name, is_asked=limits.asks_admins and person.admitted is None)


def _check_size(text: str, limits: Limits) -> None:
    size = size_in_bytes(text)
    if size > limits.max_bytes:
        raise TooLong(size=size, limit=limits.max_bytes, unit="bytes")


def _throttle(connection: sa.Connection, person: people.PersonRow, limits: Limits, now: float) -> None:
    """GCRA (ITU-T I.371): each message moves the theoretical arrival time, by at most `burst` intervals from now.

    One that is further ahead was stored before the clock was set back; it is corrected, or it would stay ahead.
    """
    interval = 60.0 / limits.per_minute
    furthest = now + limits.burst * interval
    until = max(min(person.throttled_until, furthest), now) + interval
    if until - furthest > ROUNDING:
        if person.throttled_until > furthest:
            people.set_throttle(connection, person.id, furthest)
        raise Throttled(retry_after=until - furthest)
    people.set_throttle(connection, person.id, until)


def _check_queue(connection: sa.Connection, person: people.PersonRow, limits: Limits) -> None:
    queue = backlog.measure(connection, person.id)
    if queue.own >= limits.max_queued:
        raise QueueFull(limit=limits.max_queued)
    wait = queue.predicted_wait(limits.slots)
    if wait > limits.max_wait:
        raise Busy(retry_after=wait - limits.max_wait)


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
