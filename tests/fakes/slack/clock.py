"""The fake's clock. It starts at the same time as ManualClock and is advanced by hand."""

from itertools import count

from core.clock import ManualClock


class Clock:
    def __init__(self) -> None:
        self.now = ManualClock().now()
        self._numbers = count(1)

    def stamp(self) -> str:
        """A unique message ts: seconds and a number."""
        return f"{int(self.now)}.{next(self._numbers):06d}"
