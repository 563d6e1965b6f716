"""The notices that a gateway gets from the others, and what it looks at then."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeAlias

import sqlalchemy as sa
import structlog

from core.backoff import Backoff
from core.bulkhead import bulkhead
from core.clock import Clock
from core.errors import StoreError
from core.store.listening import can_listen, listening
from core.store.notices import Notice, Topic

log = structlog.get_logger()

Look: TypeAlias = Callable[[Notice], Awaitable[None]]
"""Looks at what a notice is about: the truth is in the store. A notice without a turn may be about any."""
BACKOFF = Backoff(first=0.5, longest=30.0)
"""Seconds between two tries to listen to the server."""


class NoticeBoard:
    """Who looks at what. It belongs to an owner of leases, whose own notices are no news."""

    def __init__(self, owner: str = "") -> None:
        self._owner = owner
        self._looks: list[tuple[Topic, Look]] = []

    @contextmanager
    def looking(self, topic: Topic, look: Look) -> Iterator[None]:
        """Have a look at each notice of a topic, until the context is left."""
        entry = (topic, look)
        self._looks.append(entry)
        try:
            yield
        finally:
            self._looks.remove(entry)

    async def put_up(self, notice: Notice) -> None:
        """Have all look who are concerned. Whatever a look raises, the others take place."""
        if notice.sender and notice.sender == self._owner:
            return
        for topic, look in tuple(self._looks):
            if topic is notice.topic:
                with bulkhead() as outcome:
                    await look(notice)
                if outcome.fault:
                    log.error("notice failed unexpectedly", topic=topic, fault=outcome.fault)

    async def look_at_all(self) -> None:
        """Have all look, since any notice may have been missed."""
        for topic in Topic:
            await self.put_up(Notice(topic=topic))


@asynccontextmanager
async def hearing(engine: sa.Engine, board: NoticeBoard, clock: Clock) -> AsyncIterator[None]:
    """Put up the notices of a database until the context is left. A database without notices has one gateway."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_hear(engine, board, clock)) if can_listen(engine) else None
        try:
            yield
        finally:
            if task:
                task.cancel()


async def _hear(engine: sa.Engine, board: NoticeBoard, clock: Clock) -> None:
    """Endless. What was missed before a connection stands is looked at once it does."""
    failures = 0
    while True:
        try:
            async with listening(engine) as notices:
                await board.look_at_all()
                failures = 0
                async for notice in notices:
                    await board.put_up(notice)
        except StoreError as error:
            failures += 1
            log.warning("notices of other gateways are late", error=type(error).__name__, reason=str(error))
        await clock.sleep(BACKOFF.pause(max(failures, 1)))
