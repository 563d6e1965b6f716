"""Who may use the bot, and how much: access, size of a message, rate limit, queue and predicted wait."""

from dataclasses import dataclass

import sqlalchemy as sa

from core import commands
from core.access import is_welcome
from core.errors import Busy, KeyQueueFull, KeyThrottled, NotAllowed, QueueFull, Throttled, TooLong
from core.help_desk import HelpDesk
from core.messages import ConversationKey, Locale, Message, Person
from core.store import admissions, backlog, keys, people
from core.text import size_in_bytes

ROUNDING = 1e-6
"""Tolerance in seconds for sums of floats, so that a burst of five is five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits for each person, and for all people of a key; sizes in bytes, times in seconds.

    `slots` is how many turns run at once. People on `exempt` platforms have no rate limit. `allow` lists who may write,
    as `core/access.py` reads it. If `asks_admins`, the `admins` are asked about others. `locale` is the language of the
    bot's own words; None selects each person's. Conversations are handed over to people at the `help_desk`.
    """

    per_minute: float
    burst: int
    max_bytes: int
    max_queued: int
    key_per_minute: float
    key_burst: int
    key_max_queued: int
    max_wait: float
    slots: int
    exempt: frozenset[str]
    allow: frozenset[str]
    admins: frozenset[str]
    asks_admins: bool
    locale: Locale | None
    help_desk: HelpDesk | None = None


def may_write(connection: sa.Connection, person: Person, place: ConversationKey, limits: Limits) -> bool:
    """Whether a person may write in a place, by the configuration and by what an administrator has decided."""
    admitted = admissions.decision(connection, person)
    return is_welcome(person, place, limits.allow, limits.admins, admitted=admitted)


def check_allowed(message: Message, person: people.PersonRow, limits: Limits) -> None:
    """Raises NotAllowed. Administrators are asked about a stranger whom none has refused.

    A person who was shut out may still have everything deleted that is stored about them.
    """
    sender, place = message.sender, message.conversation
    if is_welcome(sender, place, limits.allow, limits.admins, admitted=person.admitted):
        return
    if person.admitted is False and commands.is_forget(message.text):
        return
    raise NotAllowed(person=sender.name, is_asked=limits.asks_admins and person.admitted is None)


def check_size(text: str, limits: Limits) -> None:
    """Raises TooLong."""
    size = size_in_bytes(text)
    if size > limits.max_bytes:
        raise TooLong(size=size, limit=limits.max_bytes, unit="bytes")


def check_load(connection: sa.Connection, platform: str, person: people.PersonRow, limits: Limits, now: float) -> None:
    """Raises Throttled, QueueFull or Busy if a person may not ask one more question now."""
    if platform not in limits.exempt:
        throttle(connection, person, limits, now)
        check_queue(connection, person, limits)


def throttle(connection: sa.Connection, person: people.PersonRow, limits: Limits, now: float) -> None:
    """Count a message of a person, and of the key by which a program writes for them.

    Raises Throttled or KeyThrottled: then it counts for neither.
    """
    until, wait = _arrival(person.throttled_until, limits.per_minute, limits.burst, now)
    if not wait and person.program:
        _throttle_key(connection, person.program, limits, now)
    if until != person.throttled_until:
        people.set_throttle(connection, person.id, until)
    if wait:
        raise Throttled(retry_after=wait)


def check_queue(connection: sa.Connection, person: people.PersonRow, limits: Limits) -> None:
    """Raises QueueFull, KeyQueueFull or Busy."""
    queue = backlog.measure(connection, person.id, person.program)
    if queue.own >= limits.max_queued:
        raise QueueFull(limit=limits.max_queued, retry_after=queue.turn_seconds)
    if person.program and queue.of_program >= limits.key_max_queued:
        raise KeyQueueFull(limit=limits.key_max_queued, retry_after=queue.turn_seconds)
    wait = queue.predicted_wait(limits.slots)
    if wait > limits.max_wait:
        raise Busy(retry_after=wait - limits.max_wait)


def _throttle_key(connection: sa.Connection, program: str, limits: Limits, now: float) -> None:
    """Count a message of a program. A key that was revoked in the meantime has no limits any more."""
    pace = keys.pace(connection, program)
    if pace is None:
        return
    until, wait = _arrival(pace.throttled_until, pace.per_minute or limits.key_per_minute, limits.key_burst, now)
    if until != pace.throttled_until:
        keys.set_throttle(connection, program, until)
    if wait:
        raise KeyThrottled(retry_after=wait)


def _arrival(until: float, per_minute: float, burst: int, now: float) -> tuple[float, float]:
    """GCRA (ITU-T I.371): the theoretical arrival time after one more message, and how long it is too early, or 0.

    Each message moves that time, by at most `burst` intervals from now. One that is further ahead was stored before the
    clock was set back; it is corrected, or it would stay ahead.
    """
    interval = 60.0 / per_minute
    furthest = now + burst * interval
    stored = min(until, furthest)
    moved = max(stored, now) + interval
    return (stored, moved - furthest) if moved - furthest > ROUNDING else (moved, 0.0)
