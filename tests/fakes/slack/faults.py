"""Fault injection and rate limits."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

PER_MINUTE = {
    "chat.update": 50,
    "chat.delete": 50,
    "chat.startStream": 20,
    "chat.appendStream": 100,
    "chat.stopStream": 20,
    "conversations.replies": 50,
    "apps.connections.open": 1,
    "reactions.add": 50,
}
"""Rate limit in calls per minute, by method; from the tiers in Slack's documentation."""
POSTS_PER_CHANNEL = 60


@dataclass(slots=True, kw_only=True)
class Fault:
    """The next `times` calls of `method` ("*" for all) fail as `kind`, after `skip` calls have succeeded.

    "ratelimited" (429 with `retry_after`), "unavailable" (503 without JSON), "error" (`error`), "cut" (the connection
    closes without an answer or an effect), "lost" (the same, with the effect), "silence" and "mute" (as "cut" and
    "lost", but the connection stays open).
    """

    method: str
    kind: str
    times: int = 1
    skip: int = 0
    retry_after: int = 1
    error: str = ""

    def meets(self, method: str) -> bool:
        if self.times == 0 or self.method not in {"*", method}:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


@dataclass(slots=True, kw_only=True)
class Faults:
    planned: list[Fault] = field(default_factory=list)
    limited: bool = False
    _calls: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))

    def next(self, method: str, params: dict[str, Any], now: float) -> Fault | None:
        """The fault of this call, if any."""
        for fault in self.planned:
            if fault.meets(method):
                return fault
        return self._limit(method, params, now) if self.limited else None

    def _limit(self, method: str, params: dict[str, Any], now: float) -> Fault | None:
        channel = params.get("channel", "") if method == "chat.postMessage" else ""
        allowed = POSTS_PER_CHANNEL if method == "chat.postMessage" else PER_MINUTE.get(method, 10_000)
        recent = self._calls[method, channel]
        recent[:] = [at for at in recent if at > now - 60]
        if len(recent) >= allowed:
            return Fault(method=method, kind="ratelimited", retry_after=max(1, round(recent[0] + 60 - now)))
        recent.append(now)
        return None
