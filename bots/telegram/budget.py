"""The rate limit of outgoing calls. Telegram counts messages, edits and typing notices of a chat together."""

from dataclasses import dataclass

from core.clock import Clock
from core.errors import RateLimited

MAX_WAIT = 10.0
"""Seconds that a call waits here. For a longer wait the worker releases the turn and comes back."""
MAX_CHATS = 10_000
"""Chats on record before those without a pending wait are dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One call per `interval` seconds on average, `burst` calls at once."""

    interval: float
    burst: int


OVERALL = Rate(interval=1 / 20, burst=5)
"""At most 25 calls in any second. Telegram allows 30; the rest is for calls that the network delayed."""
PRIVATE = Rate(interval=1.0, burst=4)
GROUP = Rate(interval=4.0, burst=4)
"""At most 20 calls in any minute."""


class Budget:
    """The rate limits of one bot: GCRA (ITU-T I.371), with the time up to which each chat's calls are spent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._overall = 0.0
        self._spent: dict[int, float] = {}
        self._paused: dict[int, float] = {}

    def try_take(self, chat: int, *, leave: int) -> bool:
        """Spend a call on a preview if `leave` more calls can follow at once; whether it was spent."""
        if not self.has_room(chat, leave=leave):
            return False
        self._spend(chat, self._clock.monotonic())
        return True

    def has_room(self, chat: int, *, leave: int) -> bool:
        """Whether `try_take` would spend a call now."""
        now = self._clock.monotonic()
        return not self._pause(chat, now) and self._wait(chat, now, leave) <= 0

    async def take(self, chat: int) -> None:
        """Spend a call, and wait until it may be made. Raises RateLimited, and spends nothing, above `MAX_WAIT`."""
        now = self._clock.monotonic()
        wait = max(self._pause(chat, now), self._wait(chat, now, 0))
        if wait > MAX_WAIT:
            raise RateLimited(retry_after=wait)
        self._spend(chat, now)
        if wait > 0:
            await self._clock.sleep(wait)

    def pause(self, chat: int, seconds: float) -> None:
        """Make no calls to this chat for some seconds, because Telegram asked for it. Other chats go on."""
        self._paused[chat] = max(self._paused.get(chat, 0.0), self._clock.monotonic() + seconds)

    def _pause(self, chat: int, now: float) -> float:
        return max(0.0, self._paused.get(chat, now) - now)

    def _wait(self, chat: int, now: float, leave: int) -> float:
        rate = _rate(chat)
        here = self._spent.get(chat, 0.0) - now - (rate.burst - 1 - leave) * rate.interval
        overall = self._overall - now - (OVERALL.burst - 1 - leave) * OVERALL.interval
        return max(0.0, here, overall)

    def _spend(self, chat: int, now: float) -> None:
        self._overall = max(self._overall, now) + OVERALL.interval
        self._spent[chat] = max(self._spent.get(chat, 0.0), now) + _rate(chat).interval
        if len(self._spent) > MAX_CHATS:
            self._spent = {chat: until for chat, until in self._spent.items() if until > now}
            self._paused = {chat: until for chat, until in self._paused.items() if until > now}


def _rate(chat: int) -> Rate:
    """Groups have negative ids."""
    return GROUP if chat < 0 else PRIVATE
