"""The connection to one platform: calls that are repeated until they are answered, and what health reports of it."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from bots.fronts import Health
from core.backoff import Backoff
from core.bulkhead import bulkhead
from core.clock import Clock
from core.errors import ConfigError, DeliveryFailed, DeliveryRejected, ParleyError, RateLimited, TokenRefused

R = TypeVar("R")
log = structlog.get_logger()

REFUSED_FOR = 600.0
"""Seconds after which a refused token is taken to be wrong. A proxy may refuse it for a while."""


class Connection:
    """Whether a platform answers. The front end's API reports each answer with `heard`."""

    def __init__(self, platform: str, clock: Clock, backoff: Backoff) -> None:
        self._platform = platform
        self._clock = clock
        self._backoff = backoff
        self._failures = 0
        self._heard_at: float | None = None
        self._skipped = 0
        self._refused_at: float | None = None

    async def persist(self, call: Callable[[], Awaitable[R]]) -> R:
        """The answer to a call, which is repeated with back-off until there is one.

        Raises TokenRefused if the token was refused for `REFUSED_FOR`, and the ConfigError of a call.
        """
        while True:
            with bulkhead(ParleyError) as outcome:
                try:
                    answer = await call()
                except ConfigError:
                    self._failures += 1
                    raise
                except (DeliveryFailed, DeliveryRejected) as error:
                    await self._wait(error)
                else:
                    self._recovered()
                    return answer
            if outcome.fault:
                await self._wait(DeliveryFailed(retry_after=0, reason=outcome.fault))

    def heard(self) -> None:
        """Note that the platform has answered a call just now."""
        self._heard_at = self._clock.monotonic()

    @contextmanager
    def skipping(self, *passing: type[Exception]) -> Iterator[None]:
        """Take an update in. If that raises anything but the `passing` errors, the update is skipped."""
        with bulkhead(*passing) as outcome:
            yield
        if outcome.fault:
            self.skip(outcome.fault)

    def skip(self, reason: str, **what: int) -> None:
        """Count and log an update that cannot be understood. The reason has none of its words."""
        self._skipped += 1
        log.warning("update skipped", platform=self._platform, reason=reason, **what)

    def health(self) -> Health:
        """Connected if the latest call of `persist` was answered."""
        is_connected = self._heard_at is not None and not self._failures
        return Health(connected=is_connected, heard_at=self._heard_at, skipped=self._skipped)

    def _recovered(self) -> None:
        if self._failures:
            log.info("platform answers again", platform=self._platform)
        self._failures = 0
        self._refused_at = None
        self.heard()

    async def _wait(self, error: DeliveryFailed | DeliveryRejected) -> None:
        self._failures += 1
        self._give_up_on(error)
        pause = max(self._backoff.pause(self._failures), error.retry_after if isinstance(error, RateLimited) else 0.0)
        log.warning("platform does not answer", platform=self._platform, reason=error.reason, again_in=pause)
        await self._clock.sleep(pause)

    def _give_up_on(self, error: DeliveryFailed | DeliveryRejected) -> None:
        """Raise the error if it is the latest of `REFUSED_FOR` seconds in which the token was refused."""
        now = self._clock.monotonic()
        if not isinstance(error, TokenRefused):
            self._refused_at = None
        elif self._refused_at is None:
            self._refused_at = now
        elif now - self._refused_at >= REFUSED_FOR:
            raise error
