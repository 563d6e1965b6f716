"""Engine of the local model server: a child process that may still be starting or restarting."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path

from core.clock import Clock
from core.engine.child import ModelChild
from core.engine.deadline import IdleTimeoutEngine
from core.engine.openai import OpenAIEngine, OpenAIServer
from core.engine.protocol import Engine, Piece
from core.engine.supervisor import Supervised, supervise
from core.engine.timings import TIMINGS, Timings
from core.errors import EngineUnavailable
from core.progress import Progress, unwatched
from core.prompt import Prompt

SOCKET_URL = "http://localhost/v1"
"""Base URL on a Unix socket; HTTP requires a host, and nothing resolves it."""
WAIT_SECONDS = 60.0
"""How long a call waits for the child to be ready; a small model loads in a few seconds."""


@asynccontextmanager
async def open_local(
    child: ModelChild,
    clock: Clock,
    *,
    idle_seconds: float,
    timings: Timings = TIMINGS,
    wait_seconds: float = WAIT_SECONDS,
    progress: Progress = unwatched,
) -> AsyncIterator["LocalEngine"]:
    """Run the child and yield its engine, before the child is ready; stop the child on exit.

    A call waits up to `wait_seconds` for the child to be ready. From then on `idle_seconds` is its idle timeout.
    `progress` follows the conversion of weights at the first start.
    """
    async with supervise(child, clock, timings, progress) as supervised:

        def connect(socket_path: Path) -> Engine:
            server = OpenAIServer(url=SOCKET_URL, socket_path=socket_path, model="", api_key="")
            return IdleTimeoutEngine(OpenAIEngine(server), clock, idle_seconds)

        yield LocalEngine(connect, supervised, wait_seconds)


class LocalEngine:
    """An `Engine` whose calls first wait for the child; they raise EngineUnavailable if it is not ready in time.

    `connect` makes the client of a child's socket.
    """

    def __init__(self, connect: Callable[[Path], Engine], child: Supervised, wait_seconds: float) -> None:
        self._connect = lru_cache(maxsize=1)(connect)
        self.child = child
        self.wait_seconds = wait_seconds

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        engine = await self._ready()
        async with engine.stream(prompt, max_tokens=max_tokens, temperature=temperature, user=user) as pieces:
            yield pieces

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        return await (await self._ready()).first_token(prompt, user=user)

    async def count_tokens(self, text: str) -> int:
        return await (await self._ready()).count_tokens(text)

    async def identity(self) -> str:
        return await (await self._ready()).identity()

    async def forget(self, users: Sequence[str]) -> bool:
        """A child that is not ready has nothing to forget: it is new."""
        return not self.child.is_ready or await self._connect(self.child.socket_path).forget(users)

    async def metrics(self) -> bytes:
        """Raises EngineUnavailable at once if the child is not ready: a scrape does not wait for a model."""
        if not self.child.is_ready:
            raise EngineUnavailable(self.child.reason)
        return await self._connect(self.child.socket_path).metrics()

    async def wait_ready(self) -> None:
        await self.child.wait_ready(self.wait_seconds)

    async def _ready(self) -> Engine:
        await self.wait_ready()
        return self._connect(self.child.socket_path)
