"""Crash points: named steps at which a process kills itself, and wrappers that add such steps to a store or engine."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, wraps
from inspect import isfunction, signature
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from core.engine.protocol import Engine, Piece
from core.prompt import Prompt
from core.side_by_side import SIDE_BY_SIDE
from core.store import Database, Store, open_store

P = ParamSpec("P")
R = TypeVar("R")

CLAIMS = {"claim_waiting", "claim_answered"}
LOOP_ITERATIONS = 200
"""Iterations of the event loop after which a request to a suspended process has reached its socket."""
TWO_REPLIES = "two replies in progress"
STEPS = {
    *("received", "acknowledged", "before placeholder", "placeholder sent", "placeholder shown"),
    *("mood asked", "tokens asked", "reply asked", "first piece", "third piece", "edit sent", "edited"),
    *("poison", "child started", TWO_REPLIES),
}
"""Crash points that are no moments of a verb."""
MOMENTS = ("uncommitted", "committed")


class CrashPoint:
    """Calls `crash` at the given hits of one point: (1, 3) is the first and the third time it is reached.

    The point may be empty. Raises ValueError if there is none of its name, since it would never be reached.
    """

    def __init__(self, point: str, hits: tuple[int, ...], crash: Callable[[], None]) -> None:
        if point and point not in (names := _names()):
            raise ValueError(f"no crash point {point!r}; there are: {', '.join(sorted(names))}")
        self.point = point
        self.crash = crash
        self._hits = hits
        self._reached = 0

    def reach(self, point: str) -> None:
        if self.is_due(point):
            self.crash()

    def is_due(self, point: str) -> bool:
        """Count a hit of `point`. True if it is one to crash at."""
        assert point in STEPS or point.endswith(MOMENTS)
        if point != self.point:
            return False
        self._reached += 1
        return self._reached in self._hits


def _names() -> set[str]:
    """The names of all points. Verbs are the public functions of the imported core that take a connection first."""
    modules = [module for name, module in sys.modules.items() if name.startswith("core.")]
    functions = [function for module in modules for function in vars(module).values() if isfunction(function)]
    verbs = {verb.__name__ for verb in functions if next(iter(signature(verb).parameters), "") == "connection"}
    return STEPS | {f"{verb} {moment}" for verb in verbs if not verb.startswith("_") for moment in MOMENTS}


@cache
def crashing(verb: Callable[Concatenate[sa.Connection, P], R], crash_point: CrashPoint) -> Callable[..., R]:
    """The verb with a crash point before its commit, the same one at each call: a store knows its verbs by themselves.

    A claim that finds no turn does not reach it.
    """

    @wraps(verb)
    def crash(connection: sa.Connection, *args: P.args, **kwargs: P.kwargs) -> R:
        found = verb(connection, *args, **kwargs)
        _reach(crash_point, verb.__name__, found, "uncommitted")
        return found

    return crash


@asynccontextmanager
async def open_crashing(database: str, crash_point: CrashPoint) -> AsyncIterator[Database]:
    """A store for a `CrashingStore`, in which the same verbs run beside each other as in the product."""
    beside = [crashing(verb, crash_point) for verb in SIDE_BY_SIDE]
    async with open_store(database, beside=[*beside, *SIDE_BY_SIDE]) as store:
        yield store


class CrashingStore:
    """A store with two crash points in each verb: before its commit and after it."""

    def __init__(self, store: Store, crash_point: CrashPoint) -> None:
        self._store = store
        self._crash_point = crash_point
        self.read = store.read
        self.scrub = store.scrub

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        found: R = await self._store.run(crashing(verb, self._crash_point), *args, **kwargs)
        _reach(self._crash_point, verb.__name__, found, "committed")
        return found


def _reach(crash_point: CrashPoint, verb: str, found: object, moment: str) -> None:
    if found is not None or verb not in CLAIMS:
        crash_point.reach(f"{verb} {moment}")


class CrashingEngine:
    """An engine with a crash point in each call: the request is sent and no answer has arrived.

    `hold` suspends the model server, so that it cannot answer before the crash. With TWO_REPLIES the first reply waits
    for a second one, so that both are in progress.
    """

    def __init__(self, engine: Engine, crash_point: CrashPoint, hold: Callable[[], None]) -> None:
        self._engine = engine
        self._crash_point = crash_point
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
            await self._wait_for_second_reply()
            yield pieces

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        return await self._pass("mood asked", self._engine.first_token(prompt, user=user))

    async def count_tokens(self, text: str) -> int:
        return await self._pass("tokens asked", self._engine.count_tokens(text))

    async def forget(self, users: Sequence[str]) -> bool:
        return await self._engine.forget(users)

    async def metrics(self) -> bytes:
        return await self._engine.metrics()

    async def _pass(self, point: str, call: Coroutine[Any, Any, R]) -> R:
        if not self._crash_point.is_due(point):
            return await call
        self._hold()
        under_way = asyncio.create_task(call)
        for _ in range(LOOP_ITERATIONS):
            await asyncio.sleep(0)
        self._crash_point.crash()
        return await under_way

    async def _wait_for_second_reply(self) -> None:
        if self._crash_point.point != TWO_REPLIES:
            return
        self._open += 1
        if self._open > 1:
            self._second.set()
            self._crash_point.reach(TWO_REPLIES)
        await self._second.wait()
