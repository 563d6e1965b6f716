"""How fast the bot may write. Telegram counts everything that reaches a chat together: messages, edits, typing."""

from dataclasses import dataclass

from core.clock import Clock
from core.errors import DeliveryFailed

LONGEST_WAIT = 10.0
"""Seconds that a reply waits its turn here; for longer ones the worker comes back."""
MANY_CHATS = 10_000


class Flooded(DeliveryFailed):
    """Telegram said, or would say, 429. Nothing was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One call each `interval` seconds, of which `burst` may come at once."""

    interval: float
    burst: int


OVERALL = Rate(interval=1 / 20, burst=5)
"""No more than 25 in any second: of the 30 that Telegram allows, some are for calls that the network held up."""
PRIVATE = Rate(interval=1.0, burst=4)
GROUP = Rate(interval=4.0, burst=4)
"""No more than 20 in any minute."""


class Budget:
    """One for all that goes out. Each place has a time up to which its calls are spent (GCRA, ITU-T I.371)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._overall = 0.0
        self._spent: dict[int, float] = {}
        self._paused: dict[int, float] = {}

    def try_take(self, chat: int, *, leave: int) -> bool:
        """Whether a preview may go out now, which is only if `leave` calls can still follow it at once."""
        now = self._clock.monotonic()
        if self._pause(chat, now) or self._wait(chat, now, leave) > 0:
            return False
        self._spend(chat, now)
        return True

    async def take(self, chat: int) -> None:
        """Wait for a call's turn. Raises Flooded, and spends nothing, if that is far off."""
        now = self._clock.monotonic()
        wait = max(self._pause(chat, now), self._wait(chat, now, 0))
        if wait > LONGEST_WAIT:
            raise Flooded(retry_after=wait)
        self._spend(chat, now)
        if wait > 0:
            await self._clock.sleep(wait)

    def pause(self, chat: int, seconds: float) -> None:
        """Telegram wants to hear nothing for this chat. The others go on."""
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
        if len(self._spent) > MANY_CHATS:
            self._spent = {chat: until for chat, until in self._spent.items() if until > now}
            self._paused = {chat: until for chat, until in self._paused.items() if until > now}


def _rate(chat: int) -> Rate:
    """Groups have negative ids."""
    return GROUP if chat < 0 else PRIVATE
