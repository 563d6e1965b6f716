"""A stranger's request to be let in: each administrator is asked in their private chat, with buttons."""

from collections.abc import Set as AbstractSet

import sqlalchemy as sa

from core.commands import ACCESS, prefix_in
from core.i18n import say
from core.messages import ConversationKey, Locale, Message, Person, Reply, Source
from core.store import admissions, people, turns
from core.text import clean

ASK_EVERY = 86_400.0
"""Seconds between two requests of the same stranger."""
MOST_PER_HOUR, HOUR = 5, 3_600.0
"""Strangers about whom administrators are asked within an hour; the next one is named with a word about the rest."""
MAX_NAME_CHARACTERS = 64


def ask_administrators(
    connection: sa.Connection,
    stranger: Person,
    row: people.PersonRow,
    admins: AbstractSet[str],
    locale: Locale | None,
    now: float,
) -> bool:
    """Ask all administrators who can be found, unless they were asked about this stranger within a day.

    Returns whether they know of the stranger. Many strangers are not asked about: the rest may write again in an hour.

    Each question is an answered turn of the administrator, as if they had typed the command: it is delivered like a
    reply, and survives a restart. `locale` is the language of the bot's own words, None for each person's.
    """
    if 0 <= now - row.asked_at < ASK_EVERY:  # a time in the future was stored before the clock was set
        return True
    lately = admissions.asked_between(connection, now - HOUR, now)
    if lately > MOST_PER_HOUR:
        return False
    key = "access.wants_in" if lately < MOST_PER_HOUR else "access.many"
    admissions.set_asked(connection, row.id, now)
    name = " ".join(clean(stranger.display_name).split())[:MAX_NAME_CHARACTERS]
    who = f"{name} ({stranger.name})" if name else stranger.name
    for admin in _found(connection, stranger, admins):
        asked = people.find_or_add(connection, admin)
        language = asked.languages.own_words(locale)
        private = ConversationKey(platform=admin.platform, workspace=admin.workspace, chat=admin.id)
        typed = f"{prefix_in(private)}{ACCESS.name} {stranger.name}"
        words = say(language, key, who=who, command=typed)
        message = Message(
            event_keys=(),
            conversation=private,
            sender=admin,
            text=f"{ACCESS} {stranger.name}",
            sent_at=now,
        )
        turns.add(connection, asked.id, message, language, now, Reply(text=words, source=Source.COMMAND))
    return True


def decide(connection: sa.Connection, person: Person, admit: bool | None, now: float) -> None:  # noqa: FBT001  stored
    """Let a person in, which they are told once in their private chat, or shut them out, or withdraw what was decided
    if it is None. What they have asked before is still answered.

    The message is an answered turn of theirs. They are not told if they write in a chat's name, which has no private
    chat, or if the platform does not let the bot write to them.
    """
    row = people.find_or_add(connection, person)  # of a person who was forgotten there is none
    is_new = admissions.decide(connection, person, admit)
    locale = admissions.last_locale(connection, row.id)
    if not (is_new and admit) or locale is None or ":" in person.id:
        return
    private = ConversationKey(platform=person.platform, workspace=person.workspace, chat=person.id)
    message = Message(event_keys=(), conversation=private, sender=person, text=str(ACCESS), sent_at=now)
    welcome = Reply(text=say(locale, "access.welcome"), source=Source.COMMAND)
    turns.add(connection, row.id, message, locale, now, welcome)


def _found(connection: sa.Connection, stranger: Person, admins: AbstractSet[str]) -> list[Person]:
    """Administrators on the stranger's platform, and those elsewhere who have written to the bot. A private chat has
    the id of its person.
    """
    here = [
        Person(platform=platform, workspace=stranger.workspace, id=id_)
        for platform, _, id_ in (name.partition(":") for name in sorted(admins))
        if platform == stranger.platform
    ]
    elsewhere = [admin for admin in admissions.known(connection, admins) if admin.platform != stranger.platform]
    return here + elsewhere
