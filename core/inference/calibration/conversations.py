"""The conversations of conversations.toml, as a model reads them."""

import tomllib
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


class Conversations(BaseModel):
    """Those that weights are rounded for, and those that are kept back to judge what rounding costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    conversations: tuple[Conversation, ...]
    judged: tuple[Conversation, ...]


def read_conversations() -> Conversations:
    text = files(__package__).joinpath("conversations.toml").read_text("utf-8")
    return Conversations.model_validate(tomllib.loads(text))


def conversation_ids(template: ChatTemplate, conversation: Conversation) -> tuple[list[int], list[int]]:
    """The prompt, and the last reply after its opening."""
    *before, reply = conversation.messages
    return template.build(before), template.vocabulary.encode(reply.text)
