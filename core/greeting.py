"""Greetings: once in a group that the bot is added to, and once for a person who opens their chat with it."""

from collections.abc import Callable
from typing import TypeAlias

import sqlalchemy as sa

from core.messages import Kind, Locale, Message, Reply, Source
from core.store import events, history, people, turns

Words: TypeAlias = Callable[[Locale], str]
"""What a greeting says in a language."""


def greet(
    connection: sa.Connection, opening: Message, words: Words | None, configured: Locale | None, now: float
) -> bool:
    """Insert a turn that greets a place, as if its person had typed the `opening`; whether one is due: no place is
    greeted twice.

    Without `words` the command of the opening is carried out. `configured` is the language of the bot's own words, None
    for each person's.
    """
    if _is_known(connection, opening) or not events.remember(connection, opening.event_keys, now):
        return False
    person = people.find_or_add(connection, opening.sender)
    locale = person.languages.own_words(configured)
    turns.add(connection, person.id, opening, locale, now, words and Reply(text=words(locale), source=Source.COMMAND))
    return True


def _is_known(connection: sa.Connection, opening: Message) -> bool:
    """Whether the bot was in the group before, or has heard from the person."""
    if opening.kind is Kind.GROUP:
        return history.has_taken_part(connection, opening.conversation)
    return history.has_heard(connection, opening.sender)
