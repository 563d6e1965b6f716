"""The figures of a comparison as a table: ratios first, then what they are made of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.machine import Memory
from benchmarks.sides import Answer, total_memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The counted runs of one model, in pairs, and the memory of both bots after the last. Parley's is its gateway's
    and its model server's.
    """

    model: str
    parley: Sequence[Answer]
    naive: Sequence[Answer]
    parley_memory: Sequence[Memory]
    naive_memory: Sequence[Memory]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of some figures, and their ends."""

    middle: float
    low: float
    high: float

    def show(self, digits: int) -> str:
        return f"{self.middle:.{digits}f} ({self.low:.{digits}f}–{self.high:.{digits}f})"


def spread(figures: Sequence[float]) -> Spread:
    return Spread(middle=median(figures), low=min(figures), high=max(figures))


def table(compared: Comparison) -> str:
    """Markdown: a row for each figure, and under it what the runs had in common."""
    rows = [
        _times(compared, "to the first token, s", lambda answer: answer.first_token, 2),
        _times(compared, "to the whole reply, s", lambda answer: answer.total, 2),
        _times(compared, "each token after the first, ms", lambda answer: 1000 * answer.per_token, 1),
        _held(compared, "peak memory, MiB", lambda memory: memory.peak),
        _held(compared, "memory after the last reply, MiB", lambda memory: memory.share),
    ]
    head = ["| | naive : Parley | Parley | naive |", "|---|---|---|---|"]
    return "\n".join([f"## {compared.model}", "", *head, *rows, "", _common(compared)])


def _times(compared: Comparison, name: str, figure: Callable[[Answer], float], digits: int) -> str:
    ours, theirs = [figure(answer) for answer in compared.parley], [figure(answer) for answer in compared.naive]
    ratios = spread([their / our for our, their in zip(ours, theirs, strict=True)])
    return f"| {name} | **{ratios.show(2)}** | {spread(ours).show(digits)} | {spread(theirs).show(digits)} |"


def _held(compared: Comparison, name: str, figure: Callable[[Memory], float]) -> str:
    ours, theirs = figure(total_memory(compared.parley_memory)), figure(total_memory(compared.naive_memory))
    parts = " + ".join(f"{figure(memory):.0f}" for memory in compared.parley_memory)
    return f"| {name} | **{theirs / ours:.2f}** | {ours:.0f} ({parts}) | {theirs:.0f} |"


def _common(compared: Comparison) -> str:
    read = spread([answer.prompt_tokens for answer in compared.parley])
    written = spread([answer.reply_tokens for answer in compared.parley])
    return (
        f"{len(compared.parley)} counted runs. Tokens of the reply's prompt: {read.show(0)}; "
        f"of the reply: {written.show(0)}."
    )
