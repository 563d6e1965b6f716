"""Quality beside speed: how far fewer bits take Parley and llama.cpp from the exact weights. One table."""

import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter

from benchmarks.engines import PRECISIONS, Engine
from benchmarks.figures import Figure
from benchmarks.processes import ROOT, clean_environment
from benchmarks.rig import Rig

HEAD = """\
| model | weights | prompts: same top token | KL, mean (max) | prose: same top token | KL, mean (max) | perplexity \
| mood | same greedy reply |
|---|---|---|---|---|---|---|---|---|"""
POINT = 0.01
"""Accuracy that int4 may lose against int8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """How close a model is to the exact one over some texts.

    `same_top` is the share of positions at which the most likely token is the same; `divergence` is the mean
    Kullback-Leibler divergence in nats, and `largest` its maximum.
    """

    positions: int
    same_top: float
    divergence: float
    largest: float

    def cells(self) -> str:
        """Two cells of the table."""
        return f"{self.same_top:.2%} of {self.positions} | {self.divergence:.2g} ({self.largest:.2g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Quality of one engine's weights of a model. Only Parley has a mood accuracy, and greedy replies of all."""

    model: str
    engine: Engine
    prompts: Closeness
    prose: Closeness
    perplexity: float
    mood: float | None = None
    replies: int = 0
    unchanged: int = 0


def measure(rig: Rig, model: str) -> list[Quality]:
    """Quality of each kind of weights of a model. A child process computes it, so that its memory is freed."""
    command = [sys.executable, "-m", "benchmarks.quality_worker", model, str(rig.threads), str(rig.alternatives)]
    process = subprocess.run(
        command, cwd=ROOT, env=clean_environment(), check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return TypeAdapter(list[Quality]).validate_json(process.stdout)


def table(found: Iterable[Quality]) -> str:
    """Markdown table with a row for each kind of weights."""
    return "\n".join([HEAD, *map(_row, found)])


def figures(found: Sequence[Quality]) -> list[Figure]:
    """What is compared of one model: int4's divergence with that of Q4_K_M, and its moods with int8's."""
    by_engine = {one.engine: one for one in found}
    ours, others = by_engine[Engine.INT4], [one for one in found if one.engine is Engine.Q4_K_M]
    return [
        _divergence("the bot's prompts", ours.model, ours.prompts, [other.prompts for other in others]),
        _divergence("prose", ours.model, ours.prose, [other.prose for other in others]),
        _mood(ours, by_engine[Engine.INT8]),
    ]


def _divergence(text: str, model: str, ours: Closeness, others: Sequence[Closeness]) -> Figure:
    """`others` is empty if llama.cpp is not installed."""
    return Figure(
        workload=f"{model}: KL divergence from the exact weights, {text}, {PRECISIONS[Engine.INT4]}",
        baseline=Engine.Q4_K_M,
        unit="nats",
        ours=[ours.divergence],
        theirs=[other.divergence for other in others],
        target=1.0,
        digits=4,
        unavailable="" if others else "not measured",
    )


def _mood(ours: Quality, other: Quality) -> Figure:
    assert ours.mood is not None
    assert other.mood is not None
    return Figure(
        workload=f"{ours.model}: moods read rightly, development set, {PRECISIONS[ours.engine]}",
        baseline=other.engine,
        unit="%",
        ours=[100 * ours.mood],
        theirs=[100 * other.mood],
        target=(other.mood - POINT) / other.mood,
        more_is_better=True,
        digits=1,
    )


def _row(one: Quality) -> str:
    mood = "" if one.mood is None else f"{one.mood:.1%}"
    replies = f"{one.unchanged} of {one.replies}" if one.replies else ""
    return (
        f"| {one.model} | {one.engine} | {one.prompts.cells()} | {one.prose.cells()} "
        f"| {one.perplexity:.2f} | {mood} | {replies} |"
    )
