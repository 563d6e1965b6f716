"""The conversations of conversations.toml, as a model reads them."""

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from itertools import cycle

from pydantic import BaseModel, ConfigDict

from core.inference.tokens.template import ChatMessage, ChatTemplate, Role


class Conversation(BaseModel):
    """A system message, or none, and texts of the user and the assistant in turn, the assistant's last."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    system: str = ""
    turns: tuple[str, ...]

    @property
    def messages(self) -> list[ChatMessage]:
        system = [ChatMessage(role=Role.SYSTEM, text=self.system)] if self.system else []
        roles = cycle((Role.USER, Role.ASSISTANT))
        return system + [ChatMessage(role=role, text=text) for role, text in zip(roles, self.turns, strict=False)]


class _File(BaseModel):
    conversations: tuple[Conversation, ...]


def read_conversations() -> tuple[Conversation, ...]:
    text = files(__package__).joinpath("conversations.toml").read_text("utf-8")
    return _File.model_validate(tomllib.loads(text)).conversations


def conversation_ids(template: ChatTemplate) -> Iterator[list[int]]:
    """The ids of each conversation: the prompt, and the last reply after its opening."""
    for conversation in read_conversations():
        *before, reply = conversation.messages
        yield template.build(before) + template.vocabulary.encode(reply.text)
