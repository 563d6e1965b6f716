"""Notices to the gateways of an installation, each of which then looks at the store at once, not at its next poll.

A notice is part of a transaction: it arrives after the commit, or never. It may also be missed, so everything that it
tells of is in the store. It names nobody and quotes nothing. SQLite sends none.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import sqlalchemy as sa

from core.messages import ConversationKey
from core.scopes import scope
from core.store.portable import POSTGRESQL

CHANNEL = sa.text("SELECT 'parley_' || 'installation'::regclass::oid")
"""Another one for each installation in a database."""
SEND = sa.text("SELECT pg_notify('parley_' || 'installation'::regclass::oid, :payload)")
WATCHED = frozenset({"web"})
"""Platforms whose people look on at a gateway, perhaps not at the one that answers them."""


class Topic(StrEnum):
    """What a notice is about."""

    WORK = "work"  # a turn waits, and its gateway has no time for it
    CHANGED = "changed"  # a turn that is being answered: its message is another one, or its reply is not wanted
    DELETED = "deleted"  # words of turns
    SHOWN = "shown"  # something new of a turn, to people who look on


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A notice. `turn_id` is the turn that it is about, 0 if any may be. `place` is the scope of its conversation, and
    `sender` the owner of leases who sends it, if the topic needs them.
    """

    topic: Topic
    turn_id: int = 0
    place: str = ""
    sender: str = ""

    def __str__(self) -> str:
        return f"{self.topic}/{self.turn_id}/{self.place}/{self.sender}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The inverse of `str`; None if the text is of another version."""
        try:
            topic, turn_id, place, sender = text.split("/")
            return cls(topic=Topic(topic), turn_id=int(turn_id), place=place, sender=sender)
        except ValueError:
            return None


def send(connection: sa.Connection, notice: Notice) -> None:
    """Send a notice when the transaction is committed."""
    if connection.dialect.name == POSTGRESQL:
        connection.execute(SEND, {"payload": str(notice)})


def tell_watchers(connection: sa.Connection, turn_id: int, conversation: ConversationKey, owner: str) -> None:
    """Have people who look on at other gateways see what is new of an owner's turn."""
    if conversation.platform in WATCHED:
        place = scope(str(conversation))
        send(connection, Notice(topic=Topic.SHOWN, turn_id=turn_id, place=place, sender=owner))
