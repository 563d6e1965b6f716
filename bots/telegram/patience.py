"""How long to wait after a call that failed, and what an operator is told."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from telegram.error import Conflict, InvalidToken, RetryAfter

from bots.fronts import Health
from bots.telegram.outbox import TROUBLE, seconds_of
from core.clock import Clock

R = TypeVar("R")
log = structlog.get_logger()

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
REFUSED_FOR = 600.0
"""Seconds after which a token that is refused is taken to be wrong, and not tried often."""
RARELY = 300.0


class Patience:
    """Calls until Telegram answers. Knows whether it does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures = 0
        self._heard_at: float | None = None
        self._refused_at: float | None = None

    async def persist(self, call: Callable[[], Awaitable[R]]) -> R:
        while True:
            try:
                answer = await call()
            except TROUBLE as error:
                await self._wait(error)
            else:
                self._heard()
                return answer

    def health(self) -> Health:
        return Health(connected=self._heard_at is not None and not self._failures, heard_at=self._heard_at)

    def _heard(self) -> None:
        if self._failures:
            log.info("telegram answers again")
        self._failures = 0
        self._refused_at = None
        self._heard_at = self._clock.monotonic()

    async def _wait(self, error: Exception) -> None:
        """Errors are named and not quoted: some hold the token."""
        pause = self._pause(error)
        log.warning("telegram does not answer", error=type(error).__name__, hint=_hint(error), again_in=pause)
        self._failures += 1
        await self._clock.sleep(pause)

    def _pause(self, error: Exception) -> float:
        if isinstance(error, RetryAfter):
            return seconds_of(error)
        now = self._clock.monotonic()
        if not isinstance(error, InvalidToken):
            self._refused_at = None
        elif self._refused_at is None:
            self._refused_at = now
        elif now - self._refused_at >= REFUSED_FOR:
            return RARELY
        return PAUSES[min(self._failures, len(PAUSES) - 1)]


def _hint(error: Exception) -> str:
    if isinstance(error, Conflict):
        return "somebody else takes this bot's updates"
    return "the token is not accepted" if isinstance(error, InvalidToken) else ""
