"""The fake's time: it begins where the tests' own clock does, and is moved on by hand."""

from itertools import count

from core.clock import ManualClock


class Clock:
    def __init__(self) -> None:
        self.now = ManualClock().now()
        self._numbers = count(1)

    def stamp(self) -> str:
        """A message's name: seconds and a number, never the same twice."""
        return f"{int(self.now)}.{next(self._numbers):06d}"
