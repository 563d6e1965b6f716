"""How a turn is shown on Slack, as a delivery remembers it in the store."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Surface(StrEnum):
    """What shows a turn.

    A post is a message that began as a placeholder, a stream one that began as a stream. A response is an answer at the
    response URL of a slash command. Nowhere means that the bot may not write in the channel.
    """

    POST = "post"
    STREAM = "stream"
    RESPONSE = "response"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A surface and, for a post or a stream, the ts of its message.

    Stored as "post:<ts>", "stream:<ts>", "response" or "nowhere".
    """

    surface: Surface
    ts: str = ""

    def __str__(self) -> str:
        return f"{self.surface}:{self.ts}" if self.ts else str(self.surface)

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. An unknown handle, which only a damaged store can hold, shows nothing."""
        surface, _, ts = text.partition(":")
        return cls(surface=Surface(surface if surface in set(Surface) else Surface.NOWHERE), ts=ts)

    @property
    def is_message(self) -> bool:
        """Whether there is a message that can be edited."""
        return self.surface in {Surface.POST, Surface.STREAM}
