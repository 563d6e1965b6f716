"""An operator takes a conversation over, and it is given back: by them, by the customer, or by time."""

from typing import Literal

import sqlalchemy as sa

from core.commands import prefix_in
from core.errors import AlreadyTaken, HandoffClosed
from core.handoff import relaying
from core.handoff.asking import LAST_LINES
from core.handoff.notes import post_to_operators, tell_customer, tell_operators
from core.handoff.relaying import Said, pass_on_turn
from core.handoff.words import lines
from core.help_desk import HelpDesk
from core.i18n import say
from core.messages import Choice, ConversationKey, Message, Person, Reply, Source
from core.store import amendments, handoffs
from core.store.handoffs import CLOSED, TAKEN

IN_HAND = (Choice.BACK, Choice.CLOSE)
"""Buttons for the owner of a conversation."""


def take(
    connection: sa.Connection,
    handoff: sa.Row[tuple[object, ...]],
    desk: HelpDesk,
    operator: Person,
    now: float,
) -> tuple[int, ...]:
    """Make an operator the owner of a conversation; the running turns that the caller must interrupt.

    Raises AlreadyTaken if it has another owner, HandoffClosed. The model's answers under way end: what they answer is
    passed on to the operator instead.
    """
    if handoff.state == CLOSED:
        raise HandoffClosed
    if not handoffs.take(connection, handoff.id, operator, now, now + desk.timeout):
        if handoff.owner == str(operator):
            return ()
        raise AlreadyTaken(owner=Person.parse(handoff.owner).name)
    tell_operators(connection, handoff, desk, "taken", now, choices=IN_HAND, owner=operator.name)
    place = ConversationKey.parse(handoff.conversation)
    since = handoffs.said(connection, handoff.person_id, place, handoff.opened_at, LAST_LINES)
    if told := [row for row in since if row.reply is not None]:
        words = "\n".join([say(desk.locale, "handoff.meanwhile"), *lines(told, desk.locale)])
        post_to_operators(connection, handoff, desk.locale, Reply(text=words, source=Source.COMMAND), now)
    return _end_answers(connection, handoff, desk, now)


def obey(
    connection: sa.Connection, message: Message, said: Said, desk: HelpDesk, now: float
) -> tuple[tuple[int, ...], int]:
    """Do what an operator says: send words to the customer, or a command about the hand-off.

    Returns the running turns that the caller must interrupt, and the turn of the message, or 0. Raises Refusals.
    """
    if said.does == "words":
        return (), relaying.hear(connection, message, said.handoff, desk, now) or 0
    if said.does == "take":
        return take(connection, said.handoff, desk, message.sender, now), 0
    give_back(connection, said.handoff, desk, message.sender, said.does, now)
    return (), 0


def give_back(
    connection: sa.Connection,
    handoff: sa.Row[tuple[object, ...]],
    desk: HelpDesk,
    operator: Person,
    ending: Literal["back", "close"],
    now: float,
) -> None:
    """Close a hand-off for its owner; for any operator if it has none. Raises AlreadyTaken, HandoffClosed."""
    if handoff.owner not in {"", str(operator)} and handoff.state == TAKEN:
        raise AlreadyTaken(owner=relaying.owner_of(handoff))
    if not end(connection, handoff, desk, ending, now):
        raise HandoffClosed


def _end_answers(
    connection: sa.Connection, handoff: sa.Row[tuple[object, ...]], desk: HelpDesk, now: float
) -> tuple[int, ...]:
    """Pass on what the model has not answered yet, and tell the customer that a person is there now.

    A turn of which something may be shown says so in its messages. The others are shown to the operator alone.
    """
    words = say(handoff.locale, "handoff.talking", prefix=prefix_in(ConversationKey.parse(handoff.conversation)))
    is_told, running = False, []
    for row in handoffs.unanswered(connection, handoff.person_id, handoff.conversation):
        if row.claimed_at is None:
            pass_on_turn(connection, row, handoff, desk, now)
            continue
        pass_on_turn(connection, row, handoff, desk, now, is_copy=True)
        amendments.amend(connection, row, {}, now, Reply(text=words, source=Source.COMMAND))
        is_told = True
        running += [row.id] if row.owner else []
    if not is_told:
        tell_customer(connection, handoff, "talking", now)
    return tuple(running)


def end(
    connection: sa.Connection, handoff: sa.Row[tuple[object, ...]], desk: HelpDesk, ending: str, now: float
) -> bool:
    """Close a hand-off and tell both sides why: it was given "back", or is settled ("close"), the customer has left
    ("leave"), or time is up ("timeout"). Returns False if it was closed before.
    """
    if not handoffs.close(connection, handoff.id, ending, now):
        return False
    if ending != "leave":  # the customer's command is answered already
        is_missed = ending == "timeout" and handoff.state != TAKEN
        tell_customer(connection, handoff, "customer_missed" if is_missed else f"customer_{ending}", now)
    tell_operators(connection, handoff, desk, f"operators_{ending}", now)
    return True


def give_back_late(connection: sa.Connection, desk: HelpDesk, now: float) -> bool:
    """Give back the conversations about which nobody has done anything in time; whether there were any."""
    late = handoffs.due(connection, now)
    for handoff in late:
        end(connection, handoff, desk, "timeout", now)
    return bool(late)


def give_up(connection: sa.Connection, turn_id: int, now: float) -> None:
    """Close a hand-off whose turn cannot be shown, since the bot may not write there, and tell the other side."""
    row = amendments.find(connection, turn_id)
    handoff = handoffs.find(connection, row.handoff_id) if row else None
    if row is None or handoff is None:
        return
    handoffs.drop(connection, row.id)
    is_open = handoffs.close(connection, handoff.id, "unreachable", now)
    if row.at_desk and not handoff.thread:
        handoffs.drop_undelivered(connection, handoff.id)
    if is_open and row.at_desk:
        tell_customer(connection, handoff, "customer_unreachable", now)
    elif is_open:
        words = say(handoff.locale, "handoff.operators_unreachable")
        post_to_operators(connection, handoff, handoff.locale, Reply(text=words, source=Source.COMMAND), now)
