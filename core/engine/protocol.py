"""What the core asks of a model, whoever serves it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from core.messages import NO_USAGE, Finish, Usage
from core.prompt import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of a reply. The last one of a reply carries `finish` and `usage`, and may have no text."""

    text: str = ""
    finish: Finish | None = None
    usage: Usage = NO_USAGE


class Engine(Protocol):
    """A model that writes replies and says how likely a first token is. All methods raise `EngineError`s."""

    def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """The reply to a prompt, piece by piece. Leaving the context stops the model.

        `temperature` is the model's own choice unless given. What a server keeps of a prompt to be quicker the next
        time, it keeps for the same `user` alone; without one it keeps nothing of what people wrote.
        """

    async def first_token(self, prompt: Prompt) -> Mapping[bytes, float]:
        """The most likely first tokens of a reply, as bytes, with their log-probabilities; empty if not offered."""

    async def count_tokens(self, text: str) -> int:
        """How many tokens a text costs; an estimate on the high side where the engine does not say."""

    async def identity(self) -> str:
        """The name of the model that answers; replies of different models are never mixed in the cache."""
