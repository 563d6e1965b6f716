"""Who the bot is on Telegram."""

from dataclasses import dataclass

from core.messages import ConversationKey

PLATFORM = "telegram"
ROOT = "r"
"""Stands before the id of the message to which a thread of a group without topics replies: "r123"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The bot's account. `username` is empty until Telegram has told it. `hears_all` says that it gets every message
    of its groups: its operator has switched its privacy mode off.
    """

    id: int
    username: str = ""
    hears_all: bool = False

    def __str__(self) -> str:
        return f"@{self.username}"

    @property
    def front(self) -> str:
        return ConversationKey(platform=PLATFORM, workspace=str(self.id), chat="").front
