"""Exponential back-off: how long to wait before the next attempt."""

from dataclasses import dataclass
from typing import Final

MAX_DOUBLINGS: Final = 64
"""Keeps the power finite, whatever the count of failures; no pause in use needs as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses in seconds: `first` after one failure, doubled with each further one, at most `longest`."""

    first: float
    longest: float

    def pause(self, failures: int) -> float:
        """Seconds to wait after `failures` failures in a row; 0 without a failure."""
        return min(self.first * 2 ** min(failures - 1, MAX_DOUBLINGS), self.longest) if failures > 0 else 0.0
