"""The state of the fake Telegram: bots, chats and their messages."""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

MARKED = re.compile(r"(?P<bot_command>(?<!\S)/\w+(?:@\w+)?)|(?P<mention>(?<!\w)@\w+)")
DAY = 86_400.0
USUAL = {"message", "edited_message", "callback_query", "my_chat_member", "channel_post"}
"""Kinds of updates that a bot gets by default, of those that the fake knows."""


class Refused(Exception):
    """An error answer of the Bot API."""

    def __init__(self, status: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.status = status
        self.description = description
        self.parameters = parameters


@dataclass(slots=True, kw_only=True)
class Chat:
    """A chat and its messages by id, each as Telegram's JSON. `migrated_to` is the id of the supergroup it became."""

    facts: Json
    messages: dict[int, Json] = field(default_factory=dict)
    topics: set[int] = field(default_factory=set)
    next_id: int = 1
    migrated_to: int = 0
    forbidden: str = ""
    may_open_topics: bool = True

    @property
    def id(self) -> int:
        return int(self.facts["id"])

    @property
    def is_private(self) -> bool:
        return bool(self.facts["type"] == "private")

    def replying_to(self, message_id: int) -> Json:
        """The fields of a reply. In a supergroup it has the id of the first message of its chain of replies."""
        replied = self.messages[message_id]
        fields: Json = {
            "reply_to_message": {name: value for name, value in replied.items() if name != "reply_to_message"}
        }
        if self.facts["type"] == "supergroup" and not replied.get("is_topic_message"):
            fields["message_thread_id"] = replied.get("message_thread_id", message_id)
        return fields

    def add(self, message: Json) -> Json:
        message = {"message_id": self.next_id, "chat": self.facts, **message}
        self.messages[self.next_id] = message
        self.next_id += 1
        return message


@dataclass(slots=True, kw_only=True)
class Webhook:
    url: str
    secret: str


@dataclass(slots=True, kw_only=True)
class Account:
    """A bot's account: its pending updates and its settings."""

    id: int
    token: str
    username: str
    privacy: bool = True
    chats: dict[int, Chat] = field(default_factory=dict)
    pending: deque[Json] = field(default_factory=deque)
    next_update: int = 1000
    allowed: set[str] = field(default_factory=lambda: set(USUAL))
    webhook: Webhook | None = None
    queries: set[str] = field(default_factory=set)
    polls: int = 0
    commands: dict[str, list[Json]] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    short_descriptions: dict[str, str] = field(default_factory=dict)

    @property
    def user(self) -> Json:
        return {"id": self.id, "is_bot": True, "first_name": "Parley", "username": self.username}

    @property
    def me(self) -> Json:
        can = {"can_join_groups": True, "can_read_all_group_messages": not self.privacy}
        return {**self.user, **can, "supports_inline_queries": False}

    def chat(self, chat_id: int) -> Chat:
        """The chat with this id. Raises Refused if the bot cannot write there."""
        chat = self.chats.get(chat_id)
        if chat is None:
            raise Refused(400, "Bad Request: chat not found")
        if chat.migrated_to:
            why = "Bad Request: group chat was upgraded to a supergroup chat"
            raise Refused(400, why, migrate_to_chat_id=chat.migrated_to)
        if chat.forbidden:
            raise Refused(403, f"Forbidden: {chat.forbidden}")
        return chat

    def can_see(self, message: Json) -> bool:
        """Whether a group's message reaches a bot in privacy mode."""
        if not self.privacy or message["chat"]["type"] == "private":
            return True
        replied = message.get("reply_to_message", {}).get("from", {}).get("id") == self.id
        text = str(message.get("text") or message.get("caption") or "").lower()
        return replied or text.startswith("/") or f"@{self.username}".lower() in text


def units(text: str) -> int:
    """The length of a text in UTF-16 code units, as Telegram counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def entities(text: str) -> list[Json]:
    """The commands and mentions that Telegram itself finds in a text."""
    return [
        {"type": found.lastgroup, "offset": units(text[: found.start()]), "length": units(found[0])}
        for found in MARKED.finditer(text)
    ]
