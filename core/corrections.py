"""Accepts edits and deletions of messages: one transaction each, like a message itself."""

from dataclasses import replace

import sqlalchemy as sa

from core import amending, commands, editing
from core.accepting import Accepted, Duplicate, Ignored, Outcome, accept, cleaned, hear, stopped
from core.errors import Refusal
from core.handoff import relaying
from core.help_desk import HelpDesk
from core.limits import Limits, check_queue, may_write, throttle
from core.messages import WITHDRAWN, Deletion, Edit, Message
from core.store import amendments, events, people
from core.store.states import WAITING
from core.text import clean, size_in_bytes

LATE = 600.0
"""Seconds after which a message no longer arrives. Slack's last attempt is five minutes after the first."""


def edit(connection: sa.Connection, change: Edit, limits: Limits, now: float) -> Outcome:
    """Give a turn its edited message, or withdraw it if that is not for the bot any more.

    An edit may arrive before the message itself, which is then a duplicate. What is neither stored nor late was sent to
    others, or before the bot was there: it is left alone, like the edits of people who may not write.
    """
    if events.is_known(connection, change.event_keys):
        return Duplicate()
    message = cleaned(change.message)
    if limits.help_desk and relaying.read(connection, message, limits.help_desk):
        return _edit_operators(connection, replace(change, message=message), limits, limits.help_desk, now)
    if not may_write(connection, message.sender, message.conversation, limits):
        return Ignored()
    if events.is_known(connection, message.event_keys):
        events.remember(connection, change.event_keys, now)
        return _edit_known(connection, message, limits, now, is_addressed=change.is_addressed is not False)
    if not change.is_addressed or now > message.sent_at + LATE:
        return Ignored()
    both = (*message.event_keys, *change.event_keys)
    return accept(connection, replace(message, event_keys=both), limits, now)


def _edit_operators(connection: sa.Connection, change: Edit, limits: Limits, desk: HelpDesk, now: float) -> Outcome:
    """Change what the customer is shown of an operator's message. One that is not known yet is a new one."""
    message = change.message
    turn = amendments.find(connection, events.turn_of(connection, message.event_keys))
    if turn is None and not events.is_known(connection, message.event_keys):
        if now > message.sent_at + LATE:
            return Ignored()
        return accept(connection, replace(message, event_keys=(*message.event_keys, *change.event_keys)), limits, now)
    events.remember(connection, change.event_keys, now)
    if turn is None or not desk.trusts(message.sender) or size_in_bytes(message.text) > limits.max_bytes:
        return Ignored()
    return Accepted(turn_id=turn.id) if relaying.edit(connection, turn, message, now) else Ignored()


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
    if turn is None:
        return Ignored()
    return Accepted(turn_id=turn.id, interrupts=editing.withdraw(connection, turn, now))


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


def _revise(
    connection: sa.Connection, turn: sa.Row[tuple[object, ...]], message: Message, limits: Limits, now: float
) -> Accepted | Ignored:
    """Give a turn its edited message, if that changes anything."""
    changed = editing.changes(turn, message)
    if changed is None:
        return Ignored()
    person = hear(connection, message)
    locale = person.languages.own_words(limits.locale)
    if not _may_edit(connection, turn, message, person, limits, now):
        return Ignored()
    running: tuple[int, ...] = ()
    reply = None
    if (call := commands.parse(message.text)) and call.command is commands.STOP:
        running, reply = stopped(connection, message, person, locale, limits.help_desk, now)
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
        throttle(connection, person, limits, now)
        if turn.reply is not None:
            check_queue(connection, person, limits)
    except Refusal:
        return bool(turn.state == WAITING)
    return True
