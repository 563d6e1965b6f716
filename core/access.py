"""Who may talk to the bot, and where: the entries of `access.allow`, and what administrators have decided."""

from collections.abc import Set as AbstractSet

from core.messages import ConversationKey, Person

PLACES = ("chat", "channel")
"""What platforms call the place of a conversation: "telegram:chat:-100123", "slack:channel:C0123ABCD"."""


def is_open(place: ConversationKey, allow: AbstractSet[str]) -> bool:
    """Whether an entry names the place or its platform: all its people but outsiders may talk to the bot."""
    platform = place.platform
    return not allow.isdisjoint([f"{platform}:*", *(f"{platform}:{word}:{place.chat}" for word in PLACES)])


def is_welcome(
    person: Person,
    place: ConversationKey,
    allow: AbstractSet[str],
    admins: AbstractSet[str],
    *,
    admitted: bool | None,
) -> bool:
    """Whether a person may write in a place. `admitted` is what an administrator has decided, None if none has.

    A name in the configuration counts more than that, and that more than an entry for all people of a place.
    """
    if is_shut_out(person, allow, admins, admitted=admitted):
        return False
    return bool(admitted) or is_allowed(person, place, allow)


def is_shut_out(person: Person, allow: AbstractSet[str], admins: AbstractSet[str], *, admitted: bool | None) -> bool:
    """Whether an administrator has shut a person out whom the configuration does not name."""
    return admitted is False and person.name not in allow and person.name not in admins


def is_allowed(person: Person, place: ConversationKey, allow: AbstractSet[str]) -> bool:
    """Whether an entry names the person, their platform or the place. An outsider must be named."""
    if person.name in allow or person.is_outsider:
        return person.name in allow
    return is_open(place, allow)
