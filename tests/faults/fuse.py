"""Where a process dies: the n-th passing of a named point, and what passes points without knowing it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from core.engine.protocol import Engine, Piece
from core.prompt import Prompt
from core.store import Store

P = ParamSpec("P")
R = TypeVar("R")

CLAIMS = {"claim_waiting", "claim_answered"}
TURNS_OF_THE_LOOP = 200
"""In so many turns a request to a process that does not listen has reached its socket."""
PAIR = "two replies under way"


class Fuse:
    """Blows at the given passings of one point."""

    def __init__(self, point: str, passings: tuple[int, ...], blow: Callable[[], None]) -> None:
        self.point = point
        self.blow = blow
        self._passings = passings
        self._passed = 0

    def reach(self, point: str) -> None:
        if self.is_due(point):
            self.blow()

    def is_due(self, point: str) -> bool:
        """Count a passing; whether it is one to blow at."""
        if point != self.point:
            return False
        self._passed += 1
        return self._passed in self._passings


class FusedStore:
    """The store, with two points in each verb: its work is done but not committed, and it is committed.

    A verb that found nothing to claim passes neither.
    """

    def __init__(self, store: Store, fuse: Fuse) -> None:
        self._store = store
        self._fuse = fuse
        self.scrub = store.scrub

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        def fused(connection: sa.Connection) -> R:
            found = verb(connection, *args, **kwargs)
            self._reach(verb.__name__, found, "uncommitted")
            return found

        found = await self._store.run(fused)
        self._reach(verb.__name__, found, "committed")
        return found

    def _reach(self, verb: str, found: object, moment: str) -> None:
        if found is not None or verb not in CLAIMS:
            self._fuse.reach(f"{verb} {moment}")


class FusedEngine:
    """An engine with a point in each call: the request is on its way, and nothing has come back.

    `hold` keeps who serves the engine from answering meanwhile. At the point PAIR the first reply waits for a second.
    """

    def __init__(self, engine: Engine, fuse: Fuse, hold: Callable[[], None]) -> None:
        self._engine = engine
        self._fuse = fuse
        self._hold = hold
        self._open = 0
        self._second = asyncio.Event()
        self.identity = engine.identity

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        async with AsyncExitStack() as stack:
            opening = stack.enter_async_context(
                self._engine.stream(prompt, max_tokens=max_tokens, temperature=temperature, user=user)
            )
            pieces = await self._pass("reply asked", opening)
            await self._pair()
            yield pieces

    async def first_token(self, prompt: Prompt) -> Mapping[bytes, float]:
        return await self._pass("mood asked", self._engine.first_token(prompt))

    async def count_tokens(self, text: str) -> int:
        return await self._pass("tokens asked", self._engine.count_tokens(text))

    async def _pass(self, point: str, call: Coroutine[Any, Any, R]) -> R:
        if not self._fuse.is_due(point):
            return await call
        self._hold()
        under_way = asyncio.create_task(call)
        for _ in range(TURNS_OF_THE_LOOP):
            await asyncio.sleep(0)
        self._fuse.blow()
        return await under_way

    async def _pair(self) -> None:
        if self._fuse.point != PAIR:
            return
        self._open += 1
        if self._open > 1:
            self._second.set()
            self._fuse.reach(PAIR)
        await self._second.wait()
