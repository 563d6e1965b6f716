"""One of several model servers: its share of the work, and its health as its calls tell."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from core.backoff import Backoff
from core.clock import Clock
from core.engine.protocol import Engine
from core.errors import EngineError, EngineLost, EngineStalled, EngineUnavailable

log = structlog.get_logger()

UNHEALTHY: Final = (EngineUnavailable, EngineLost, EngineStalled)
"""What a server that is down raises. A refusal is an answer, and an empty reply is the model's."""
REST: Final = Backoff(first=2.0, longest=60.0)
"""Seconds until a server that is down is asked again. The first rest is longer than a turn's pause before its retry."""


@dataclass(slots=True, kw_only=True, eq=False)
class Member:
    """A server. `name` is for logs and metrics; `place` is its identity in the rendezvous, such as its URL.

    A server of `weight` 0 is drained: it gets no calls, but still forgets. `calls` are under way, and the latest has
    the number `latest` among all calls of all servers. `failures` are counted in a row. `lost` are the users whose
    replies broke off since a call ended well. `model` is what it last said that it serves.
    """

    name: str
    place: str
    weight: int
    engine: Engine
    calls: int = 0
    latest: int = 0
    failures: int = 0
    lost: set[str] = field(default_factory=set)
    model: str = ""
    _down: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_up(self) -> bool:
        return not self._down.is_set()

    def may_take(self, user: str) -> bool:
        """Whether it is up. After a failure it is on trial: until a call has ended well it gets one at a time, and no
        reply that was lost there before, since a second loss would cost the person the answer.
        """
        return self.is_up and (not self.failures or (not self.calls and user not in self.lost))

    @contextmanager
    def used(self, number: int, user: str = "") -> Iterator[None]:
        """Count a call, and note how it ends."""
        self.calls, self.latest = self.calls + 1, number
        try:
            with self.watched(user):
                yield
        finally:
            self.calls -= 1
        self._recover()

    @contextmanager
    def watched(self, user: str = "") -> Iterator[None]:
        """Note if a call fails that is no work for the model, so that its success proves little."""
        try:
            yield
        except UNHEALTHY as error:
            if user and not isinstance(error, EngineUnavailable):
                self.lost.add(user)
            if self.is_up:  # all calls that fail in one outage are one failure
                self.failures += 1
                self._down.set()
                log.warning("model server down", server=self.name, error=type(error).__name__, reason=str(error))
            raise

    async def keep_asking(self, clock: Clock) -> None:
        """While it is down, ask it for its metrics again and again, with growing pauses, and put it on trial once it
        answers. So it is not a person's message that finds out. Runs until cancelled.
        """
        while await self._down.wait():
            await clock.sleep(REST.pause(self.failures))
            try:
                await self.engine.metrics()
            except EngineError:
                self.failures += 1
            else:
                self._rise()

    def _recover(self) -> None:
        self.failures = 0
        self.lost.clear()
        self._rise()

    def _rise(self) -> None:
        if not self.is_up:
            log.info("model server up", server=self.name)
            self._down.clear()
