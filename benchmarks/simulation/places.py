"""Places that are taken and given back in order. Unlike `simpy.Resource` they cost no event while some are free, which
makes a run three times as fast.
"""

from collections import deque
from collections.abc import Generator
from typing import Any, TypeAlias

import simpy

Process: TypeAlias = Generator[simpy.Event, Any, None]


class Places:
    """Some places, for which processes wait in the order in which they came."""

    def __init__(self, environment: simpy.Environment, number: int) -> None:
        self._environment = environment
        self._free = number
        self._queue: deque[tuple[int, simpy.Event]] = deque()

    @property
    def are_taken(self) -> bool:
        return not self._free

    def take(self, number: int = 1) -> Process:
        """Wait for so many places."""
        if not self._queue and number <= self._free:
            self._free -= number
            return
        turn = self._environment.event()
        self._queue.append((number, turn))
        yield turn

    def give(self, number: int = 1) -> None:
        """Give so many places back."""
        self._free += number
        while self._queue and self._queue[0][0] <= self._free:
            number, turn = self._queue.popleft()
            self._free -= number
            turn.succeed()
