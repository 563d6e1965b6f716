"""The same world, real and simulated, side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks.fleet.measure import Observed
from benchmarks.load import quantile
from benchmarks.simulation.run import Result, Seen

HEAD: Final = "| run | | real | simulated | off by |\n|---|---|---|---|---|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Real runs of one world, and its simulation."""

    name: str
    real: Sequence[Observed]
    simulated: Result

    def rows(self) -> str:
        """A row for each figure, with the median of the real runs."""
        runs = [_figures(run.rate, run.seen) for run in self.real]
        ours = _figures(self.simulated.rate, self.simulated.seen)
        return "\n".join(self._row(figure, [run[figure] for run in runs], ours[figure]) for figure in ours)

    def _row(self, figure: str, real: Sequence[float], simulated: float) -> str:
        middle = median(real)
        spread = f"{middle:.2f} ({min(real):.2f} to {max(real):.2f})"
        return f"| {self.name} | {figure} | {spread} | {simulated:.2f} | {simulated / middle - 1:+.0%} |"


def _figures(rate: float, seen: Seen) -> Mapping[str, float]:
    return {
        "messages/s": rate,
        "first piece, p50 s": quantile(seen.first, 0.5),
        "first piece, p95 s": quantile(seen.first, 0.95),
        "whole answer, p50 s": quantile(seen.whole, 0.5),
        "whole answer, p95 s": quantile(seen.whole, 0.95),
    }
