"""Engine over several servers of the same model. Each conversation stays with one of them, which so has its prompts in
its prefix cache.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from itertools import count
from typing import Final, TypeVar

import structlog

from core.clock import Clock
from core.engine.deadline import in_time
from core.engine.families import merged
from core.engine.member import UNHEALTHY, Member
from core.engine.protocol import Engine, Piece
from core.engine.rendezvous import affinity
from core.errors import EngineError, EngineUnavailable
from core.prompt import Prompt

T = TypeVar("T")
SCRAPE_SECONDS: Final = 1.0
"""Time limit of each server's metrics, so that one that hangs does not hide those of the others."""
log = structlog.get_logger()


@asynccontextmanager
async def open_several(members: Sequence[Member], clock: Clock, *, slots: int) -> AsyncIterator[Engine]:
    """The engine over the members, of which at least one has a weight above 0. They must have deadlines of their own.

    `slots` is how many replies all servers together generate at once.
    """
    asking = [asyncio.create_task(member.keep_asking(clock)) for member in members]
    try:
        yield SeveralEngines(members, clock, slots)
    finally:
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)


class SeveralEngines:
    """An `Engine` that chooses a server for each call.

    If the chosen one does not answer, the next one is asked at once. If it breaks off in the middle of a reply, the
    error is raised, and the next call for this `user` goes elsewhere. If all are down, all are tried.
    """

    def __init__(self, members: Sequence[Member], clock: Clock, slots: int) -> None:
        self._members = members
        self._active = [member for member in members if member.weight]
        self._clock = clock
        self._slots = slots
        self._numbers = count(1)
        self._told: Collection[str] = ()

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        @asynccontextmanager
        async def begun(member: Member) -> AsyncIterator[AsyncIterator[Piece]]:
            with member.used(next(self._numbers), user):
                stream = member.engine.stream(prompt, max_tokens=max_tokens, temperature=temperature, user=user)
                async with stream as pieces:
                    yield pieces

        async with AsyncExitStack() as stack:
            chosen = self._by_affinity(user) if user else self._by_load()
            yield await _first(chosen, lambda member: stack.enter_async_context(begun(member)))

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        """The least loaded server reads it: the text is short, and all servers have its examples in their caches."""

        async def read(member: Member) -> Mapping[bytes, float]:
            with member.used(next(self._numbers)):
                return await member.engine.first_token(prompt, user=user)

        return await _first(self._by_load(), read)

    async def count_tokens(self, text: str) -> int:
        async def counted(member: Member) -> int:
            with member.watched():
                return await member.engine.count_tokens(text)

        return await _first(self._by_load(), counted, passing=UNHEALTHY)

    async def identity(self) -> str:
        """The model of all servers. If they serve several, that is logged, and the identity names all of them.

        Of a server that is down it is the model that it served last, so that calibration and caches stay valid.
        """
        asked = [member for member in self._active if member.is_up] or self._active
        faults = [fault for fault in await asyncio.gather(*map(_identify, asked)) if fault]
        names = sorted({member.model for member in self._active if member.model})
        if not names:
            raise faults[0]
        if len(names) > 1 and names != self._told:
            self._told = names
            log.warning("model servers differ", models={each.name: each.model for each in self._active})
        return " | ".join(names)

    async def forget(self, users: Sequence[str]) -> bool:
        """All servers are told, also those that are drained. Raises the error of one that did not hear it."""
        told = await asyncio.gather(*(member.engine.forget(users) for member in self._members), return_exceptions=True)
        for fault in told:
            if isinstance(fault, BaseException):
                raise fault
        return all(told)

    async def metrics(self) -> bytes:
        """The metrics of all servers that answer, with a label that names the server.

        Raises EngineUnavailable if none does.
        """
        texts = await asyncio.gather(*map(self._metrics, self._members))
        answered = {member.name: text for member, text in zip(self._members, texts, strict=True)}
        if not any(text is not None for text in texts):
            raise EngineUnavailable("no server answers")
        return merged(answered)

    async def _metrics(self, member: Member) -> bytes | None:
        try:
            return await in_time(member.engine.metrics(), self._clock, SCRAPE_SECONDS)
        except EngineError:
            return None

    def _by_affinity(self, user: str) -> Sequence[Member]:
        """The closest server first; one that is full after the others.

        A batch that is not full takes another reply at little cost, and another server would have to read the whole
        conversation first. So a server is passed over only if the reply would have to wait there.
        """
        closeness = {member.place: affinity(member.place, member.weight, user) for member in self._active}
        return sorted(self._able(user), key=lambda member: (self._is_full(member), -closeness[member.place]))

    def _by_load(self) -> Sequence[Member]:
        """The least loaded server first; among equals the one that has rested longest."""
        return sorted(self._able(""), key=lambda member: (member.calls / member.weight, member.latest))

    def _able(self, user: str) -> Sequence[Member]:
        """The servers that may take a call of this user: if there are none, those that are up, or all."""
        return (
            [member for member in self._active if member.may_take(user)]
            or [member for member in self._active if member.is_up]
            or self._active
        )

    def _is_full(self, member: Member) -> bool:
        total = sum(each.weight for each in self._active)
        return member.calls >= math.ceil(self._slots * member.weight / total)


async def _first(
    members: Sequence[Member],
    call: Callable[[Member], Awaitable[T]],
    passing: tuple[type[EngineError], ...] = (EngineUnavailable,),
) -> T:
    """What the first server answers that can be reached. Raises the error of the last one."""
    *others, last = members
    for member in others:
        with suppress(*passing):
            return await call(member)
    return await call(last)


async def _identify(member: Member) -> EngineError | None:
    """Note which model the server has; the error if it does not say."""
    try:
        with member.watched():
            member.model = await member.engine.identity()
    except EngineError as error:
        return error
    return None
