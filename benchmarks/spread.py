"""The spread of repeated measurements: median, minimum and maximum."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median, minimum and maximum of some values."""

    median: float
    low: float
    high: float

    def show(self, digits: int) -> str:
        """The form "median (low–high)", with this many decimals."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(values: Sequence[float]) -> Spread:
    """The spread of at least one value."""
    return Spread(median=median(values), low=min(values), high=max(values))
