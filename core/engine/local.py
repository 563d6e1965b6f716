"""The model on this machine: the client of a child that may still be starting, or be down for a moment."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from core.clock import Clock
from core.engine.child import ModelChild
from core.engine.deadline import ImpatientEngine
from core.engine.openai import OpenAIEngine, OpenAIServer
from core.engine.protocol import Engine, Piece
from core.engine.supervisor import PATIENCE, Patience, Supervised, supervise
from core.prompt import Prompt

WAIT_SECONDS = 60.0
"""How long a call waits for the child; starting with a small model takes a few seconds."""


@asynccontextmanager
async def open_local(
    child: ModelChild,
    clock: Clock,
    *,
    idle_seconds: float = 30.0,
    patience: Patience = PATIENCE,
    wait_seconds: float = WAIT_SECONDS,
) -> AsyncIterator["LocalEngine"]:
    """The engine of a child that runs until the context is left. It is entered before the child is ready.

    `idle_seconds` is how long the child may be silent once it is asked; waiting for its start does not count.
    """
    async with supervise(child, clock, patience) as supervised:
        server = OpenAIEngine(OpenAIServer(socket_path=supervised.socket_path))
        yield LocalEngine(ImpatientEngine(server, clock, idle_seconds), supervised, wait_seconds)


class LocalEngine:
    """An `Engine` whose every call first waits until the child is ready. EngineUnavailable says why it is not."""

    def __init__(self, engine: Engine, child: Supervised, wait_seconds: float) -> None:
        self.engine = engine
        self.child = child
        self.wait_seconds = wait_seconds

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        await self.wait_ready()
        async with self.engine.stream(prompt, max_tokens=max_tokens, temperature=temperature, user=user) as pieces:
            yield pieces

    async def first_token(self, prompt: Prompt) -> Mapping[bytes, float]:
        await self.wait_ready()
        return await self.engine.first_token(prompt)

    async def count_tokens(self, text: str) -> int:
        await self.wait_ready()
        return await self.engine.count_tokens(text)

    async def identity(self) -> str:
        await self.wait_ready()
        return await self.engine.identity()

    async def wait_ready(self) -> None:
        await self.child.wait_ready(self.wait_seconds)
