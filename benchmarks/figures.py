"""Figures of the main table: what Parley and a baseline achieved, and their ratio. Above 1 Parley is better."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.spread import Spread, spread


class Unavailable(Exception):
    """A measurement cannot run on this machine: something is not installed, or failed to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table. `ours` and `theirs` hold one value per round; `target` is the ratio to reach.

    `theirs` is empty if the baseline is unavailable; `unavailable` then gives the reason.
    """

    workload: str
    baseline: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    target: float | None = None
    more_is_better: bool = False
    digits: int = 2
    unavailable: str = ""

    @property
    def ratio(self) -> Spread | None:
        """Spread of the ratios of each round, None without a baseline."""
        pairs = list(zip(self.ours, self.theirs, strict=False))
        if not pairs:
            return None
        return spread([our / their if self.more_is_better else their / our for our, their in pairs])

    @property
    def is_reached(self) -> bool:
        """True if the median ratio is at least the target."""
        return bool(self.ratio and self.target and self.ratio.median >= self.target)


HEAD = [
    "| workload, unit | baseline | ratio | target | Parley's value | baseline's value |",
    "|---|---|---|---|---|---|",
]


def table(figures: Sequence[Figure]) -> str:
    """Markdown table with a row per figure and a tick at each target that is reached."""
    return "\n".join([*HEAD, *map(_row, figures)])


def _row(figure: Figure) -> str:
    ratio = f"**{figure.ratio.show(2)}**" if figure.ratio else figure.unavailable
    target = f"{figure.target:.3g}{' ✓' if figure.is_reached else ''}" if figure.target else ""
    ours, theirs = (spread(values).show(figure.digits) if values else "" for values in (figure.ours, figure.theirs))
    return f"| {figure.workload}, {figure.unit} | {figure.baseline} | {ratio} | {target} | {ours} | {theirs} |"
