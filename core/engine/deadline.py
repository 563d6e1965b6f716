"""Idle timeout: an engine that stops producing raises an error instead of hanging."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import TypeVar

from core.clock import Clock
from core.engine.protocol import Engine, Piece
from core.errors import EngineStalled
from core.prompt import Prompt

T = TypeVar("T")


class IdleTimeoutEngine:
    """Wraps an `Engine`; raises EngineStalled if `seconds` pass without an answer or the next piece of a reply."""

    def __init__(self, engine: Engine, clock: Clock, seconds: float) -> None:
        self._engine = engine
        self._clock = clock
        self._seconds = seconds

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        async with AsyncExitStack() as stack:
            stream = self._engine.stream(prompt, max_tokens=max_tokens, temperature=temperature, user=user)
            pieces = await self._in_time(stack.enter_async_context(stream))
            yield await stack.enter_async_context(aclosing(self._timed(pieces)))

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        return await self._in_time(self._engine.first_token(prompt, user=user))

    async def count_tokens(self, text: str) -> int:
        return await self._in_time(self._engine.count_tokens(text))

    async def identity(self) -> str:
        return await self._in_time(self._engine.identity())

    async def forget(self, users: Sequence[str]) -> bool:
        return await self._in_time(self._engine.forget(users))

    async def metrics(self) -> bytes:
        return await self._in_time(self._engine.metrics())

    async def _timed(self, pieces: AsyncIterator[Piece]) -> AsyncGenerator[Piece, None]:
        while True:
            try:
                piece = await self._in_time(anext(pieces))
            except StopAsyncIteration:
                return
            yield piece

    async def _in_time(self, answer: Awaitable[T]) -> T:
        return await in_time(answer, self._clock, self._seconds)


async def in_time(answer: Awaitable[T], clock: Clock, seconds: float) -> T:
    """Await `answer`. Raises EngineStalled if it takes longer than `seconds` of the clock."""
    try:
        async with clock.timeout(seconds):
            return await answer
    except TimeoutError as error:
        raise EngineStalled(seconds=seconds) from error
