"""Forgets people: their words are in the store, in the answer cache, and in the prefix cache of the model server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal

import structlog

from core.backoff import Backoff
from core.classifier import OWNER
from core.clock import Clock
from core.engine.deadline import in_time
from core.engine.protocol import Engine
from core.errors import EngineError, ParleyError, StoreError
from core.messages import Person
from core.notice_board import NoticeBoard
from core.store import Store, records, stale_scopes
from core.store.notices import Notice, Topic

log = structlog.get_logger()

STEP = 200
"""Turns deleted in a transaction, so that other people's messages do not wait for it."""
MODEL_SECONDS = 5.0
"""How long the caller waits for the model servers to forget. After that they are told later."""
LOOK = 0.1
"""Seconds between two looks at whether other gateways have told theirs, which they do as soon as they get a notice."""
BACKOFF = Backoff(first=5.0, longest=60.0)
"""Seconds between two looks for deletions without a notice. `stale_scopes.ALIVE` is longer than the first."""
BATCH = 500
"""Scopes told at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is not forgotten yet.

    `in_log` says that traces in the database's log go once another program has stopped reading it. A model server
    forgets `later`, since it does not answer now, or it `never` does, since it cannot.
    """

    in_log: bool
    in_model: Literal["", "later", "never"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """The prefix cache of a gateway's model server. The `owner` is the gateway."""

    store: Store
    engine: Engine
    clock: Clock
    owner: str

    async def forget(self) -> None:
        """Tell the model server of all deletions that it has not been told of yet.

        The classifications of all people have one scope, which goes as well. Raises EngineErrors and StoreErrors; the
        rest is told at the next call.
        """
        await self.store.run(stale_scopes.see, self.owner, self.clock.now())
        while stale := await self.store.read(stale_scopes.pending, self.owner, BATCH):
            can_forget = await self.engine.forget([*sorted(set(stale.values())), OWNER])
            now = self.clock.now()
            await self.store.run(stale_scopes.note_told, self.owner, max(stale), now, can_forget=can_forget)

    async def left(self) -> Literal["", "later", "never"]:
        """What model servers have not forgotten, of all gateways, after some seconds. Raises StoreErrors."""
        try:
            can_forget = await in_time(self._all_forget(), self.clock, MODEL_SECONDS)
        except EngineError:
            return "later"
        return "" if can_forget else "never"

    async def _all_forget(self) -> bool:
        """Forget, and wait until the others have; whether all can."""
        await self.forget()
        while (told := await self.store.read(stale_scopes.told, self.owner, self.clock.now())).is_awaited:
            await self.clock.sleep(LOOK)
        return told.can_forget


@asynccontextmanager
async def forgetting(memory: Memory, board: NoticeBoard) -> AsyncIterator[None]:
    """Tell the model server of deletions soon after their commit, and again until it has answered, until the context is
    left.
    """
    deleted = asyncio.Event()

    async def look(_notice: Notice) -> None:
        deleted.set()

    with board.looking(Topic.DELETED, look):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(_keep_forgetting(memory, deleted))
            try:
                yield
            finally:
                task.cancel()
    with suppress(StoreError):
        await memory.store.run(stale_scopes.leave, memory.owner, memory.clock.now())


async def _keep_forgetting(memory: Memory, deleted: asyncio.Event) -> None:
    failures = 0
    while True:
        deleted.clear()
        try:
            await memory.forget()
            failures = 0
        except ParleyError as error:
            failures += 1
            log.info("the model server has not forgotten yet", error=type(error).__name__)
        with suppress(TimeoutError):
            async with memory.clock.timeout(BACKOFF.pause(failures + 1)):
                await deleted.wait()


async def forget_person(
    memory: Memory, person: Person, *, forget_answers: Callable[[Person], None], turn_id: int = 0
) -> Left:
    """Delete everything that is stored about a person, empty the write-ahead log, and forget them in all caches.

    `turn_id` is the turn that asks for it, and 0 if an operator does. `forget_answers` is that of the answer cache; no
    other gateway serves an answer whose turn is deleted. Raises StoreErrors: then it is to be done again.
    """
    store, now = memory.store, memory.clock.now
    while await store.run(records.forget, person, turn_id, limit=STEP, now=now()):
        continue
    forget_answers(person)
    is_scrubbed = await store.scrub()
    return Left(in_log=not is_scrubbed, in_model=await memory.left())
