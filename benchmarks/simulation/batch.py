"""The batch of a model server, step by step, in the time of the simulation or, for `benchmarks.fleet`, in real time."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.simulation.world import Speed


@dataclass(slots=True, kw_only=True, eq=False)
class Row:
    """Tokens of a prompt that are still to be read, and tokens of the reply that are still to be written."""

    to_read: int
    to_write: int


class Batch:
    """Decodes up to `speed.slots` rows at once. Others wait in the order in which they came."""

    def __init__(self, speed: Speed) -> None:
        self._speed = speed
        self._waiting: deque[Row] = deque()
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return len(self._rows) + len(self._waiting)

    def add(self, row: Row) -> None:
        self._waiting.append(row)

    def remove(self, row: Row) -> None:
        """Remove a row of which no more is wanted. One that is done may be removed too."""
        for rows in (self._rows, self._waiting):
            if row in rows:
                rows.remove(row)

    def begin(self) -> tuple[float, Sequence[Row]]:
        """Begin a step: how many seconds it takes, and the rows that get a token in the end.

        As much of the prompts is read as a step may, and all rows whose prompts are read are decoded.
        """
        while self._waiting and len(self._rows) < self._speed.slots:
            self._rows.append(self._waiting.popleft())
        left = self._speed.chunk
        for row in self._rows:
            count = min(row.to_read, left)
            row.to_read, left = row.to_read - count, left - count
        writing = [row for row in self._rows if not row.to_read]
        return self._speed.seconds(len(writing), self._speed.chunk - left), writing

    def end(self, writing: Sequence[Row]) -> None:
        """End a step: each of these rows has got its token, and those that are done leave."""
        for row in writing:
            row.to_write -= 1
            if not row.to_write:
                self.remove(row)
