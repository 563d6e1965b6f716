"""Accepts messages: each is committed to the store, or refused, before the platform gets its acknowledgement."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import sqlalchemy as sa

from core import amending, commands
from core.access import is_allowed
from core.amending import JOINABLE, MAX_QUOTED_CHARACTERS
from core.apologies import refusal
from core.buttons import Press, Receipt
from core.clock import Clock
from core.entry import ask_administrators
from core.errors import Busy, NotAllowed, QueueFull, Refusal, Throttled, TooLong
from core.gathering import GATHERING
from core.i18n import say
from core.messages import ConversationKey, Finish, Locale, Message, Person, Reply, Source
from core.parts import fitted
from core.store import Store, admissions, amendments, backlog, events, history, people, turns
from core.text import clean, size_in_bytes

NOTICE_EVERY = 60.0
"""Seconds between two notices to the same person, so that a flood of messages is not answered with a flood."""
MAX_LANGUAGE_CHARACTERS = 1_000
"""Characters of a message from which its language is detected."""
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
    """The message was accepted or refused before."""


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
        return await self._store.run(admissions.is_admitted, person)

    async def takes_part(self, conversation: ConversationKey) -> bool:
        """Whether the bot was addressed in this conversation before, so that it answers without being mentioned."""
        return await self._store.run(history.has_taken_part, conversation)

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
    """Deduplicate, limit and insert a message, or join it to the one that it belongs to."""
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
        if isinstance(error, NotAllowed) and error.is_asked:
            ask_administrators(connection, message.sender, person, limits.admins, limits.locale, now)
        return _refuse(connection, message, person, locale, error, now)
    not_before = now + GATHERING if message.ties.waits else 0.0
    return Accepted(turn_id=turns.add(connection, person.id, _cleaned(message), locale, now, not_before=not_before))


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
    stopped = Reply(text=say(locale, "command.stopped"), source=Source.REFUSAL, finish=Finish.STOPPED)
    running, waiting = turns.stop(connection, message.conversation, person.id, stopped, now)
    key = "command.stopped" if running or waiting else "command.nothing_to_stop"
    reply = Reply(text=say(locale, key), source=Source.COMMAND)
    turn_id = turns.add(connection, person.id, _cleaned(message), locale, now, reply)
    return Accepted(turn_id=turn_id, interrupts=running)


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
