"""Who may talk to the bot, and where: the entries of `access.allow`."""

from collections.abc import Set as AbstractSet

from core.messages import ConversationKey, Person

PLACES = ("chat", "channel")
"""What platforms call the place of a conversation: "telegram:chat:-100123", "slack:channel:C0123ABCD"."""


def is_open(place: ConversationKey, allow: AbstractSet[str]) -> bool:
    """Whether an entry names the place or its platform: all its people but outsiders may talk to the bot."""
    platform = place.platform
    return not allow.isdisjoint([f"{platform}:*", *(f"{platform}:{word}:{place.chat}" for word in PLACES)])


def is_allowed(person: Person, place: ConversationKey, allow: AbstractSet[str]) -> bool:
    """Whether an entry names the person, their platform or the place. An outsider must be named."""
    if person.name in allow or person.is_outsider:
        return person.name in allow
    return is_open(place, allow)
