"""How a turn is shown on Slack, as a delivery remembers it in the store."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

STORED = re.compile(
    r"(?:(?:post|stream|direct):[0-9]+\.[0-9]+(?::[\w.-]*(?::[\w.-]+)?)?|(?:response|ephemeral|nowhere))", re.ASCII
)


class Surface(StrEnum):
    """What shows a turn.

    A post is a message that began as a placeholder, a stream one that began as a stream. A response is an answer at the
    response URL of a slash command; an ephemeral answer is shown to the sender alone where they asked, and a direct one
    in their direct messages. Nowhere means that the bot may not write in the channel.
    """

    POST = "post"
    STREAM = "stream"
    RESPONSE = "response"
    EPHEMERAL = "ephemeral"
    DIRECT = "direct"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A surface and, if it is a message, its ts. `file` is the id of the file that is shared below the message.

    `channel` is that of a direct message; other messages are in the channel of their question. Stored as "post:<ts>",
    "stream:<ts>", "direct:<ts>:<channel>", each perhaps with a file as in "post:<ts>::<file>", or as "response",
    "ephemeral" or "nowhere".
    """

    surface: Surface
    ts: str = ""
    channel: str = ""
    file: str = ""

    def __str__(self) -> str:
        return f"{self.surface}:{self.ts}:{self.channel}:{self.file}".rstrip(":")

    @classmethod
    def parse(cls, text: str) -> Self:
        """The inverse of `str`. An unknown handle, which only a damaged store can hold, shows nothing."""
        if not cls.is_known(text):
            return cls(surface=Surface.NOWHERE)
        surface, ts, channel, file, *_ = f"{text}:::".split(":")
        return cls(surface=Surface(surface), ts=ts, channel=channel, file=file)

    @staticmethod
    def is_known(text: str) -> bool:
        """Whether a text is the notation of a handle."""
        return STORED.fullmatch(text) is not None

    @property
    def is_message(self) -> bool:
        """Whether there is a message that can be edited."""
        return self.surface in {Surface.POST, Surface.STREAM, Surface.DIRECT}
