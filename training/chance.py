"""Seeded random choices, named so that the corpus generator reads like its recipe."""

from collections.abc import Mapping
from random import Random
from typing import TypeVar

T = TypeVar("T")


def likely(rng: Random, chance: float) -> bool:
    """True with the probability `chance`, 0 to 1."""
    return rng.random() < chance


def pick(rng: Random, weights: Mapping[T, float]) -> T:
    """A random key, with a probability in proportion to its weight."""
    return rng.choices(tuple(weights), tuple(weights.values()))[0]
