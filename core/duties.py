"""Duties: what one gateway at a time does of those that share a database, such as to fetch a platform's messages.

A gateway has a duty under a lease, as with turns, so that another one takes over if it dies, hangs, or is cut off. It
stops before the lease ends. If it was suspended, it may act for a moment longer: what a duty does must bear that.
"""

from collections.abc import Callable, Coroutine
from typing import Protocol, TypeAlias

import structlog

from core.clock import Clock
from core.errors import StoreError
from core.racing import until_one_ends
from core.store import Store, duties
from core.store.turns import Lease

Job: TypeAlias = Callable[[], Coroutine[None, None, None]]
log = structlog.get_logger()

LEASE = 6.0
"""Seconds for which a gateway has a duty. The others wait for as long if it dies."""
LOOKS = 3
"""Renewals in the time of a lease, and looks of the others whether it has ended."""
MARGIN = 1 / 6
"""Share of a lease that is left when a gateway stops that cannot renew it."""


class Duties(Protocol):
    """What this gateway does of that which one gateway at a time does."""

    async def perform(self, name: str, job: Job, meanwhile: Job) -> None:
        """Run an endless job while this gateway has the duty of this name, and another one `meanwhile`. Endless.

        Raises what the jobs raise.
        """


class SoleDuties:
    """The `Duties` of a gateway that shares its database with no other one: all are its own."""

    async def perform(self, name: str, job: Job, meanwhile: Job) -> None:  # noqa: ARG002
        await job()


class SharedDuties:
    """The `Duties` of a gateway among others, which goes by the `owner` of its leases. The clock shows their time."""

    def __init__(self, store: Store, clock: Clock, owner: str, *, lease: float = LEASE) -> None:
        self._store = store
        self._clock = clock
        self._owner = owner
        self._lease = lease
        self._trusted = lease * (1 - MARGIN)
        self._pause = lease / LOOKS

    async def perform(self, name: str, job: Job, meanwhile: Job) -> None:
        while True:
            await until_one_ends(self._until_free(name), meanwhile())
            log.info("duty taken", duty=name)
            try:
                await until_one_ends(self._while_ours(name), job())
            finally:
                await self._release(name)
            log.warning("duty lost", duty=name)

    async def _until_free(self, name: str) -> None:
        """Return once the duty is ours."""
        while await self._take(name) is None:
            await self._clock.sleep(self._pause)

    async def _while_ours(self, name: str) -> None:
        """Renew the lease. Return if another gateway has the duty, or if it may have it soon."""
        until: float | None = self._clock.monotonic() + self._trusted
        while until is not None:
            try:
                async with self._clock.timeout(until - self._clock.monotonic()):
                    until = await self._take(name)
            except TimeoutError:
                return
            await self._clock.sleep(self._pause)

    async def _take(self, name: str) -> float | None:
        """Take the duty, or renew its lease: the monotonic time until which it is ours, None if another gateway has it.

        Endless while the store fails.
        """
        while True:
            begun, now = self._clock.monotonic(), self._clock.now()
            try:
                lease = Lease(owner=self._owner, now=now, until=now + self._lease)
                is_ours = await self._store.run(duties.take, name, lease)
            except StoreError as error:
                log.warning("duty not renewed", duty=name, error=type(error).__name__, reason=str(error))
                await self._clock.sleep(self._pause)
            else:
                return begun + self._trusted if is_ours else None

    async def _release(self, name: str) -> None:
        """Let another gateway have the duty at once. If that fails, the lease runs out."""
        try:
            async with self._clock.timeout(self._lease):
                await self._store.run(duties.release, name, self._owner)
        except (StoreError, TimeoutError) as error:
            log.warning("duty not released", duty=name, error=type(error).__name__)
