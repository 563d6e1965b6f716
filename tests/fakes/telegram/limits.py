"""Telegram's flood control, as far as it is known. Every call that reaches a chat counts, edits and typing too."""

from collections import deque
from collections.abc import Callable

OVERALL, OVERALL_SECONDS = 30, 1.0
GROUP, GROUP_SECONDS = 20, 60.0
BURST = 6
"""Calls that a private chat accepts at once; then one per second. Telegram's documentation says "short bursts"."""


class FloodControl:
    """One bot's flood control. `charge` returns the seconds to wait, or 0 if the call is counted and accepted."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._overall: deque[float] = deque()
        self._groups: dict[int, deque[float]] = {}
        self._private: dict[int, float] = {}

    def charge(self, chat: int) -> float:
        now = self._now()
        wait = max(self._wait(self._overall, OVERALL, OVERALL_SECONDS, now), self._wait_in(chat, now))
        if wait > 0:
            return wait
        self._overall.append(now)
        if chat < 0:
            self._groups[chat].append(now)
        else:
            self._private[chat] = max(self._private.get(chat, 0.0), now) + 1
        return 0.0

    def _wait_in(self, chat: int, now: float) -> float:
        if chat < 0:
            return self._wait(self._groups.setdefault(chat, deque()), GROUP, GROUP_SECONDS, now)
        return self._private.get(chat, 0.0) - now - (BURST - 1)

    @staticmethod
    def _wait(calls: deque[float], limit: int, seconds: float, now: float) -> float:
        while calls and calls[0] <= now - seconds:
            calls.popleft()
        return calls[0] + seconds - now if len(calls) >= limit else 0.0
