"""What an answer on Slack replies to, as `Message.reference` remembers it."""

import re
from dataclasses import dataclass, replace
from typing import Self

from bots.slack.api import Place
from core.messages import Message

WRITTEN = re.compile(r"(\d+\.\d+)(?::(\d+\.\d+))?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The ts of a message, and of the thread that it is written in; without one, the answer begins a thread below it.

    Stored as "<ts>" or "<ts>:<thread>". A slash command has a response URL in its place.
    """

    ts: str
    thread: str = ""

    def __str__(self) -> str:
        return f"{self.ts}:{self.thread}".rstrip(":")

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The inverse of `str`. None for a response URL, and for a message that the bot itself has made."""
        found = WRITTEN.fullmatch(text)
        return cls(ts=found[1], thread=found[2] or "") if found else None


def place_of(message: Message) -> Place:
    """Where a message is answered: in the thread of its conversation, else in that of the message itself."""
    place, reference = Place.of(message.conversation), Reference.parse(message.reference)
    if place.thread or reference is None:
        return place
    return replace(place, thread=reference.thread or reference.ts)
