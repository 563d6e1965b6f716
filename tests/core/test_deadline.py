import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import pytest

from core.clock import ManualClock
from core.engine.deadline import IdleTimeoutEngine
from core.engine.protocol import Piece
from core.engine.scripted import ScriptedEngine
from core.errors import EngineStalled
from core.prompt import ChatMessage, Prompt

PROMPT: Prompt = (ChatMessage(role="user", content="hello"),)


class DeafEngine:
    """An engine that accepts every call and never answers."""

    @asynccontextmanager
    async def stream(
        self,
        prompt: Prompt,
        *,
        max_tokens: int,
        temperature: float | None = None,
        user: str = "",
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        await asyncio.Event().wait()
        yield  # type: ignore[misc]

    async def first_token(self, prompt: Prompt, *, user: str = "") -> dict[bytes, float]:
        await asyncio.Event().wait()
        return {}

    async def count_tokens(self, text: str) -> int:
        await asyncio.Event().wait()
        return 0

    async def identity(self) -> str:
        await asyncio.Event().wait()
        return ""

    async def forget(self, users: Sequence[str]) -> bool:
        await asyncio.Event().wait()
        return bool(users)

    async def metrics(self) -> bytes:
        await asyncio.Event().wait()
        return b""


async def read(engine: IdleTimeoutEngine) -> list[Piece]:
    async with engine.stream(PROMPT, max_tokens=9) as pieces:
        return [piece async for piece in pieces]


@pytest.mark.parametrize("call", ["stream", "first_token", "count_tokens", "identity", "forget", "metrics"])
async def test_no_call_hangs(clock: ManualClock, call: str) -> None:
    """Every call to a silent engine raises EngineStalled after the deadline."""
    engine = IdleTimeoutEngine(DeafEngine(), clock, 30)
    calls: dict[str, Callable[[], Coroutine[None, None, object]]] = {
        "stream": lambda: read(engine),
        "first_token": lambda: engine.first_token(PROMPT),
        "count_tokens": lambda: engine.count_tokens("hello"),
        "identity": engine.identity,
        "forget": lambda: engine.forget(["ann"]),
        "metrics": engine.metrics,
    }
    asked = asyncio.create_task(calls[call]())
    await clock.until_sleeping()
    clock.advance(30)
    with pytest.raises(EngineStalled):
        await asked


async def test_deadline_begins_anew_with_each_piece(clock: ManualClock) -> None:
    """The deadline restarts with each piece of a reply."""
    engine = IdleTimeoutEngine(ScriptedEngine.slow("one two three four", 20, clock), clock, 30)
    asked = asyncio.create_task(read(engine))
    while not asked.done():
        sleeping = asyncio.create_task(clock.until_sleeping(2))
        await asyncio.wait({asked, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        clock.advance(20)
        await asyncio.sleep(0)
    assert "".join(piece.text for piece in await asked) == "one two three four"
