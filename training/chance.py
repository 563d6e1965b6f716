"""Chances with a name, so that the recipe reads as one."""

from collections.abc import Mapping
from random import Random
from typing import TypeVar

T = TypeVar("T")


def likely(rng: Random, chance: float) -> bool:
    """True with this chance."""
    return rng.random() < chance


def pick(rng: Random, weights: Mapping[T, float]) -> T:
    """One of the keys, as often as its weight says."""
    return rng.choices(tuple(weights), tuple(weights.values()))[0]
