"""Greetings: once in a group that the bot is added to, and once for a person who opens their chat with it."""

from collections.abc import Callable
from typing import TypeAlias

import sqlalchemy as sa

from core.access import is_open, is_shut_out
from core.limits import Limits, may_write
from core.messages import Kind, Locale, Message, Reply, Source
from core.store import admissions, events, history, people, turns

Words: TypeAlias = Callable[[Locale], str]
"""What a greeting says in a language."""


def greet(connection: sa.Connection, opening: Message, words: Words | None, limits: Limits, now: float) -> bool:
    """Insert a turn that greets a place, as if its person had typed the `opening`; whether one is due: no place is
    greeted twice, and none of a stranger, of whom no trace is left.

    Without `words` the command of the opening is carried out.
    """
    if not _may_open(connection, opening, limits):
        return False
    if _is_known(connection, opening) or not events.remember(connection, opening.event_keys, now):
        return False
    person = people.find_or_add(connection, opening.sender)
    locale = person.languages.own_words(limits.locale)
    turns.add(connection, person.id, opening, locale, now, words and Reply(text=words(locale), source=Source.COMMAND))
    return True


def _may_open(connection: sa.Connection, opening: Message, limits: Limits) -> bool:
    """Whether the person may write to the bot. A group must be open to all besides."""
    person, place = opening.sender, opening.conversation
    if opening.kind is not Kind.GROUP:
        return may_write(connection, person, place, limits)
    admitted = admissions.decision(connection, person)
    return is_open(place, limits.allow) and not is_shut_out(person, limits.allow, limits.admins, admitted=admitted)


def _is_known(connection: sa.Connection, opening: Message) -> bool:
    """Whether the bot was in the group before, or has heard from the person."""
    if opening.kind is Kind.GROUP:
        return history.has_taken_part(connection, opening.conversation)
    return history.has_heard(connection, opening.sender)
