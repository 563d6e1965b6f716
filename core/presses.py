"""What buttons do: each action is one transaction, which admission runs for a person who may use the bot.

A new kind of button is a new function here. The front ends name it in their registries: `bots/telegram/buttons.py` and
`bots/slack/buttons.py`.
"""

from dataclasses import replace
from functools import partial

import sqlalchemy as sa

from core import commands
from core.admission import Action, Limits, check_load
from core.buttons import Press, Receipt
from core.errors import AnsweringAgain, Expired, NotTheAsker, QuestionForgotten
from core.i18n import say
from core.messages import Finish, Message, Reply, Source
from core.store import confirmations, questions, turns, votes
from core.store.people import PersonRow

CONFIRM_SECONDS = 600.0
"""How long a person may press yes after a command has asked them."""


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
    _named(connection, press)
    is_new = votes.cast(connection, press.turn_id, press.person, value, now)
    thanks = say(person.languages.own_words(limits.locale), "feedback.thanks")
    return Receipt(notice=thanks if is_new else "", vote=value)


vote_up: Action = partial(vote, 1)
vote_down: Action = partial(vote, -1)


def confirm(connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float) -> Receipt:
    """Carry out the command that asked, as if its sender had typed yes. It counts like a message of theirs."""
    asked = _asked(connection, press, now)
    check_load(connection, asked.conversation.platform, person, limits, now)
    message = replace(asked, text=f"{asked.text} yes", sent_at=now)
    turns.add(connection, person.id, message, person.languages.own_words(limits.locale), now)
    return Receipt(is_work=True)


def decline(connection: sa.Connection, press: Press, person: PersonRow, limits: Limits, now: float) -> Receipt:
    """Carry out nothing, and say so."""
    _asked(connection, press, now)
    return Receipt(notice=say(person.languages.own_words(limits.locale), "command.forget_kept"))


def _asked(connection: sa.Connection, press: Press, now: float) -> Message:
    """The command that asked the person who pressed. The button may be elsewhere: a personal question is private."""
    asked = confirmations.find(connection, press.turn_id)
    if asked is None or not commands.asks_first(asked.message.text):
        raise QuestionForgotten
    if str(asked.message.sender) != str(press.person):
        raise NotTheAsker
    if now > asked.at + CONFIRM_SECONDS:
        raise Expired
    return asked.message


def _named(connection: sa.Connection, press: Press) -> questions.Question:
    """The question of the turn that the button names, if the button is in the chat of that turn."""
    question = questions.find(connection, press.turn_id)
    if question is None or question.message.conversation.chat != press.conversation.chat:
        raise QuestionForgotten
    return question
