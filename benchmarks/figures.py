"""What is measured: a figure beside its alternative's, shown with ratios first; above 1 Parley is better."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report import Spread, spread


class Absent(Exception):
    """What a measurement needs is not on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line: what both sides took or managed, in the order of the rounds. `aim` is the ratio to reach.

    `theirs` may be empty: `absent` then says why.
    """

    work: str
    against: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    aim: float | None = None
    more_is_better: bool = False
    digits: int = 2
    absent: str = ""

    @property
    def ratio(self) -> Spread | None:
        """Taken round by round."""
        pairs = list(zip(self.ours, self.theirs, strict=False))
        if not pairs:
            return None
        return spread([our / their if self.more_is_better else their / our for our, their in pairs])

    @property
    def reached(self) -> bool:
        return bool(self.ratio and self.aim and self.ratio.middle >= self.aim)


HEAD = ["| work | against | ratio | aim | Parley | the other |", "|---|---|---|---|---|---|"]


def table(figures: Sequence[Figure]) -> str:
    """Markdown, a row for each figure; a tick where the aim is reached."""
    return "\n".join([*HEAD, *map(_row, figures)])


def _row(figure: Figure) -> str:
    ratio = f"**{figure.ratio.show(2)}**" if figure.ratio else figure.absent
    aim = f"{figure.aim:g}{' ✓' if figure.reached else ''}" if figure.aim else ""
    sides = [spread(side).show(figure.digits) if side else "" for side in (figure.ours, figure.theirs)]
    return f"| {figure.work}, {figure.unit} | {figure.against} | {ratio} | {aim} | {sides[0]} | {sides[1]} |"
