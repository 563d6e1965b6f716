"""Pairs of Parley and others: whose figures are compared, and which ratio is the aim."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.engines import PRECISIONS, Engine
from benchmarks.figures import Figure
from benchmarks.rounds import Measured

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Parley with one kind of weights and others, of which the best of each round counts. `target` is the aim."""

    ours: Engine
    theirs: Sequence[Engine]
    target: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What was measured: its name, its unit and how it is shown."""

    name: str
    unit: str
    more_is_better: bool = False
    digits: int = 2


def pairs(ours: Engine, **targets: float | None) -> list[Pair]:
    """A pair with each other engine, given by its name in `Engine` and the ratio to reach."""
    return [Pair(ours=ours, theirs=[Engine[name]], target=target) for name, target in targets.items()]


def figures(
    workload: Workload,
    compared: Sequence[Pair],
    measured: Mapping[Engine, Measured[T]],
    value: Callable[[T], float],
    suffixes: Mapping[Engine, str] | None = None,
) -> Iterator[Figure]:
    """A figure per pair. `suffixes`, such as versions, are shown after the names of the baselines."""
    best = max if workload.more_is_better else min
    for pair in compared:
        installed = [engine for engine in pair.theirs if measured[engine].values]
        rounds = zip(*([value(one) for one in measured[engine].values] for engine in installed), strict=True)
        unavailable = [measured[engine].unavailable for engine in (pair.ours, *pair.theirs)]
        yield Figure(
            workload=f"{workload.name}, {PRECISIONS[pair.ours]}",
            baseline=_names(pair.theirs, suffixes or {}),
            unit=workload.unit,
            ours=[value(one) for one in measured[pair.ours].values],
            theirs=[best(own) for own in rounds] if len(installed) == len(pair.theirs) else [],
            target=pair.target,
            more_is_better=workload.more_is_better,
            digits=workload.digits,
            unavailable=next(filter(None, unavailable), ""),
        )


def _names(engines: Sequence[Engine], suffixes: Mapping[Engine, str]) -> str:
    names = [" ".join([engine, *filter(None, [suffixes.get(engine)])]) for engine in engines]
    return names[0] if len(names) == 1 else f"the better of {' and '.join(names)}"
