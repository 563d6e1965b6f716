"""The interface of a language model, local or remote."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from core.messages import NO_USAGE, Finish, Usage
from core.prompt import Prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of a reply. Only the last piece has `finish` and `usage`; it may have no text."""

    text: str = ""
    finish: Finish | None = None
    usage: Usage = NO_USAGE


class Engine(Protocol):
    """A model that writes replies and reports first-token log-probabilities. All methods raise EngineErrors."""

    def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Piece]]:
        """Stream the reply to a prompt, piece by piece. Leaving the context stops the model.

        A `temperature` of None is the model's default. The server may reuse its prefix cache of a person's messages for
        the same `user` only; without a `user`, for this call only.
        """

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        """The most likely first tokens, as bytes, with log-probabilities; empty if the engine offers none.

        `user` is as in `stream`.
        """

    async def count_tokens(self, text: str) -> int:
        """The tokens in a text; a high estimate if the engine cannot count."""

    async def identity(self) -> str:
        """The model's name, and its version if the server tells. What is kept of one model is not used for another."""

    async def forget(self, users: Sequence[str]) -> bool:
        """Have the server's prefix cache keep nothing of what was sent for these users. False if it cannot do that."""

    async def metrics(self) -> bytes:
        """The server's own metrics in Prometheus' text format, as it sends them; empty if it has none."""
