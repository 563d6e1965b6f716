"""Rounds in which engines take turns, so that a slower minute of the machine is not one engine's alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from benchmarks.engines import Engine
from benchmarks.figures import Unavailable

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Measured(Generic[T]):
    """What one engine achieved, a value per round; none if it is unavailable, for the reason given."""

    values: list[T] = field(default_factory=list)
    unavailable: str = ""


def take_turns(
    engines: Sequence[Engine], rounds: int, measure: Callable[[Engine, int], T]
) -> Mapping[Engine, Measured[T]]:
    """Measures each engine once per round, given its number; they take turns to be first.

    One that fails once is left out, because rounds are compared in pairs.
    """
    found: dict[Engine, Measured[T]] = {engine: Measured() for engine in engines}
    for number in range(rounds):
        for engine in rotated(engines, number):
            if found[engine].unavailable:
                continue
            try:
                found[engine].values.append(measure(engine, number))
            except Unavailable as error:
                found[engine] = Measured(unavailable=str(error))
    return found


def rotated(items: Sequence[T], number: int) -> list[T]:
    """The items in their order, beginning with item `number` modulo their count."""
    first = number % len(items)
    return [*items[first:], *items[:first]]
