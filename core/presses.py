"""What buttons do: each action is one transaction, which `carry_out` runs for a person who may use the bot.

A new kind of button is a new function here. The front ends name it in their registries: `bots/telegram/buttons.py` and
`bots/slack/buttons.py`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal, TypeAlias

import sqlalchemy as sa

from core import commands
from core.apologies import refusal
from core.buttons import Press, Receipt
from core.errors import (
    AnsweringAgain,
    Expired,
    HandoffClosed,
    NotAllowed,
    NotAnOperator,
    NotNow,
    NotTheAsker,
    QuestionForgotten,
    Refusal,
)
from core.handoff import offering, relaying, taking
from core.help_desk import HelpDesk
from core.i18n import say
from core.limits import Limits, check_load, may_write
from core.messages import Finish, Locale, Message, Reply, Source
from core.store import amendments, confirmations, events, handoffs, people, questions, turns, votes
from core.store.handoffs import CLOSED
from core.store.people import PersonRow
from core.text import clean

Action: TypeAlias = Callable[[sa.Connection, Press, PersonRow, Limits, float], Receipt]
"""What a button does for a person who may use the bot, at a time. It may raise a Refusal."""


def carry_out(connection: sa.Connection, action: Action, press: Press, limits: Limits, now: float) -> Receipt:
    """Deduplicate a press, and do what its button does. A press that was delivered before has an empty receipt.

    A program that is told to wait may send the same press again. That of a person who may press none is refused, and
    leaves no trace of them.
    """
    if not _may_press(connection, action, press, limits):
        return refused(NotAllowed(person=press.person.name), limits.locale or press.person.locale or "en")
    if not events.remember(connection, press.event_keys, now):
        return Receipt()
    person = people.find_or_add(connection, press.person)
    try:
        return action(connection, press, person, limits, now)
    except Refusal as error:
        if press.person.program and isinstance(error, NotNow):
            events.forget(connection, press.event_keys)
        return refused(error, person.languages.own_words(limits.locale))


def _may_press(connection: sa.Connection, action: Action, press: Press, limits: Limits) -> bool:
    """Whether a person may press a button: they may talk to the bot, are an operator at the help desk, or answer
    whether everything about them shall be deleted.
    """
    desk = limits.help_desk
    if desk is not None and desk.is_at(press.conversation) and desk.trusts(press.person):
        return True
    if may_write(connection, press.person, press.conversation, limits):
        return True
    asked = confirmations.find(connection, press.turn_id) if action in {yes, no} else None
    return asked is not None and commands.is_forget(asked.message.text)


def refused(error: Refusal, locale: Locale) -> Receipt:
    """The receipt of a press that is refused."""
    notice = refusal(error, locale)
    retry_after = error.retry_after if isinstance(error, NotNow) else None
    return Receipt(notice=notice.text, error=notice.error, retry_after=retry_after)


def again(connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float) -> Receipt:
    """Answer the question of the turn again, for the person who asked it. It counts like a message of theirs."""
    question = _named(connection, press)
    if str(question.asker) != str(press.person):
        raise NotTheAsker
    if not question.is_known:
        raise QuestionForgotten
    if questions.is_asked_again(connection, question):
        raise AnsweringAgain
    check_load(connection, question.message.conversation.platform, person, limits, now)
    locale = person.languages.own_words(limits.locale)
    questions.ask_again(connection, question, person.id, press.reference, locale, now)
    return Receipt(is_work=True)


def ask(connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float) -> Receipt:
    """Ask the question that stands on the button, as if the person had typed it. It counts like a message of theirs."""
    words = clean(press.words)
    if not words:
        raise QuestionForgotten
    if questions.is_under_way(connection, press.conversation, person.id, words):
        raise AnsweringAgain
    check_load(connection, press.conversation.platform, person, limits, now)
    message = Message(
        event_keys=(), conversation=press.conversation, sender=press.person, text=words, sent_at=now, reference=""
    )
    turns.add(connection, person.id, message, person.languages.own_words(limits.locale), now)
    return Receipt(notice=words, is_work=True)


def pick(
    number: int, connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float
) -> Receipt:
    """Ask the question that the reply of the turn suggests with this number, counted from 1."""
    _named(connection, press)
    suggested = questions.suggestions(connection, press.turn_id)
    if number > len(suggested):
        raise QuestionForgotten
    return ask(connection, replace(press, words=suggested[number - 1]), person, limits, now)


first: Action = partial(pick, 1)
second: Action = partial(pick, 2)
third: Action = partial(pick, 3)


def stop(connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float) -> Receipt:
    """End the answer of the turn, or all of the person's answers under way in the conversation if none is named."""
    where = _named(connection, press).message.conversation if press.turn_id else press.conversation
    locale = person.languages.own_words(limits.locale)
    stopped = Reply(text=say(locale, "command.stopped"), source=Source.REFUSAL, finish=Finish.STOPPED)
    running, waiting = turns.stop(connection, where, person.id, stopped, now, turn_id=press.turn_id)
    if running or waiting:
        return Receipt(notice=stopped.text, interrupts=running, is_work=waiting > 0)
    if questions.others_wait(connection, where, person.id, press.turn_id):
        raise NotTheAsker
    return Receipt(notice=say(locale, "command.nothing_to_stop"))


def vote(value: int, connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float) -> Receipt:
    """Record what the person thinks of the answer, 1 or -1. The same vote again changes nothing."""
    asked = _named(connection, press)
    is_new = votes.cast(connection, press.turn_id, press.person, value, now)
    locale = person.languages.own_words(limits.locale)
    is_asker = limits.help_desk is not None and str(asked.asker) == str(press.person)
    is_offered = is_asker and offering.offer_if_due(connection, asked.message, locale, now)
    return Receipt(notice=say(locale, "feedback.thanks") if is_new else "", vote=value, is_work=is_offered)


vote_up: Action = partial(vote, 1)
vote_down: Action = partial(vote, -1)


def answer(
    word: str, connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float
) -> Receipt:
    """Give the command that asked again, with "yes" or "no". It counts like a message of its sender."""
    asked = confirmations.find(connection, press.turn_id)
    command = commands.asking_command(asked.message.text) if asked else None
    if asked is None or command is None:
        raise QuestionForgotten
    if str(asked.message.sender) != str(press.person):
        raise NotTheAsker
    if abs(now - asked.at) > command.yes_within:  # also if the clock was set back
        raise Expired
    check_load(connection, asked.message.conversation.platform, person, limits, now)
    message = replace(asked.message, text=commands.with_answer(asked.message.text, word), sent_at=now)
    turns.add(connection, person.id, message, person.languages.own_words(limits.locale), now)
    return Receipt(is_work=True)


yes: Action = partial(answer, "yes")
no: Action = partial(answer, "no")


def ask_for_a_person(connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float) -> Receipt:
    """Hand the conversation of the turn over, for the person whose turn it is. It counts like a message of theirs."""
    question = _named(connection, press)
    if str(question.asker) != str(press.person):
        raise NotTheAsker
    if limits.help_desk is None:
        raise QuestionForgotten
    check_load(connection, question.message.conversation.platform, person, limits, now)
    message = replace(question.message, text=str(commands.HUMAN), quotes=(), media=(), again=0, sent_at=now)
    turns.add(connection, person.id, message, person.languages.own_words(limits.locale), now)
    return Receipt(is_work=True)


def take(connection: sa.Connection, press: Press, _person: PersonRow, limits: Limits, now: float) -> Receipt:
    """Take over the conversation of the turn, and send the customer the words that the button is about."""
    desk, row, handoff = _handed_over(connection, press, limits)
    running = taking.take(connection, handoff, desk, press.person, now)
    relaying.send_asked(connection, row, handoff, desk, now)
    return Receipt(interrupts=running, is_work=True)


def send(connection: sa.Connection, press: Press, _person: PersonRow, limits: Limits, now: float) -> Receipt:
    """Send the customer the words that the button is about, and nothing else."""
    desk, row, handoff = _handed_over(connection, press, limits)
    if handoff.state == CLOSED:
        raise HandoffClosed
    relaying.send_asked(connection, row, handoff, desk, now)
    return Receipt(is_work=True)


def give_back(
    ending: Literal["back", "close"],
    connection: sa.Connection,
    press: Press,
    _person: PersonRow,
    limits: Limits,
    now: float,
) -> Receipt:
    """Give the conversation of the turn back to the bot, or end it."""
    desk, _, handoff = _handed_over(connection, press, limits)
    taking.give_back(connection, handoff, desk, press.person, ending, now)
    return Receipt(is_work=True)


back: Action = partial(give_back, "back")
close: Action = partial(give_back, "close")


def _handed_over(
    connection: sa.Connection, press: Press, limits: Limits
) -> tuple[HelpDesk, sa.Row[tuple[object, ...]], sa.Row[tuple[object, ...]]]:
    """The help desk, the turn of a button there, and its hand-off. Raises NotAnOperator, QuestionForgotten."""
    desk = limits.help_desk
    if desk is None or not desk.is_at(press.conversation) or not desk.trusts(press.person):
        raise NotAnOperator
    row = amendments.find(connection, press.turn_id)
    handoff = handoffs.find(connection, row.handoff_id) if row else None
    if row is None or handoff is None or not row.at_desk or handoff.desk != str(desk.place):
        raise QuestionForgotten
    return desk, row, handoff


def _named(connection: sa.Connection, press: Press) -> questions.Question:
    """The question of the turn that the button names, if the button is in the chat of that turn."""
    question = questions.find(connection, press.turn_id)
    if question is None or question.message.conversation.chat != press.conversation.chat:
        raise QuestionForgotten
    return question
