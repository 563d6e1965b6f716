"""A customer asks for a person: by /human, by words, or by the button of an offer."""

import sqlalchemy as sa

from core import commands
from core.handoff.notes import post_to_operators
from core.handoff.words import summary
from core.help_desk import HelpDesk
from core.i18n import say
from core.messages import Choice, Locale, Message, Reply, Source
from core.store import handoffs, people
from core.store.handoffs import TAKEN

LAST_LINES = 6
"""Messages with their answers that operators see first."""


def ask(connection: sa.Connection, message: Message, desk: HelpDesk, locale: Locale, now: float) -> str:
    """Hand the conversation of a message to the operators, who are shown what it is about; what the customer is told.

    A conversation is handed over once: asking again changes nothing.
    """
    prefix = commands.prefix_in(message.conversation)
    person = people.find_or_add(connection, message.sender)
    open_ = handoffs.of_customer(connection, person.id, message.conversation)
    if open_ is not None:
        return say(locale, "handoff.talking" if open_.state == TAKEN else "handoff.asked", prefix=prefix)
    opens_at = desk.opens_at(now)
    due = opens_at + desk.timeout
    handoff = handoffs.add(connection, person.id, message, locale, desk.place, now=now, due=due)
    said = handoffs.said(connection, person.id, message.conversation, 0.0, LAST_LINES)
    language = person.languages.own_words(None)
    words = summary(said, message.sender, language, desk.locale)
    post_to_operators(
        connection, handoff, desk.locale, Reply(text=words, source=Source.COMMAND, choices=(Choice.TAKE,)), now
    )
    if opens_at > now:
        return say(locale, "handoff.asked_closed", when=desk.local_time(opens_at), prefix=prefix)
    return say(locale, "handoff.asked", prefix=prefix)


def was_just_offered(connection: sa.Connection, message: Message, turn_id: int) -> bool:
    """Whether the reply before this turn, to the same person in the same conversation, offers a person."""
    person_id = connection.scalars(people.id_of(message.sender)).first()
    return person_id is not None and handoffs.is_last_offer(connection, person_id, message.conversation, turn_id)


def is_taken(connection: sa.Connection, message: Message) -> bool:
    """Whether a person has the conversation of a message, so that the model is silent."""
    person_id = connection.scalars(people.id_of(message.sender)).first()
    found = handoffs.of_customer(connection, person_id, message.conversation) if person_id is not None else None
    return found is not None and found.state == TAKEN
