"""Weighted rendezvous hashing."""

from collections import Counter
from collections.abc import Mapping

import pytest

from core.engine.rendezvous import affinity

KEYS = [f"{number:032x}" for number in range(4_000)]


def places(weights: Mapping[str, float]) -> dict[str, str]:
    """The server of each key."""
    return {key: max(weights, key=lambda name: affinity(name, weights[name], key)) for key in KEYS}


@pytest.mark.parametrize("weights", [{"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 5}, {"a": 256, "b": 1, "c": 128}])
def test_shares_are_in_proportion_to_the_weights(weights: dict[str, float]) -> None:
    """Each server gets its share of 4000 keys, within two per cent of all."""
    counted, total = Counter(places(weights).values()), sum(weights.values())
    for name, weight in weights.items():
        assert counted[name] / len(KEYS) == pytest.approx(weight / total, abs=0.02)


def test_only_the_keys_of_a_server_that_joins_or_leaves_move() -> None:
    """A third server takes a third of the keys, from both others; when it leaves, they return. No other key moves."""
    two, three = places({"a": 1, "b": 1}), places({"a": 1, "b": 1, "c": 1})
    moved = [key for key in KEYS if two[key] != three[key]]
    assert {three[key] for key in moved} == {"c"}
    assert Counter(two[key] for key in moved).keys() == {"a", "b"}
    assert len(moved) / len(KEYS) == pytest.approx(1 / 3, abs=0.02)


def test_more_weight_only_draws_keys() -> None:
    """If a server gets more weight, keys come to it, and none moves between the others."""
    before, after = places({"a": 1, "b": 1, "c": 1}), places({"a": 1, "b": 1, "c": 2})
    assert {after[key] for key in KEYS if before[key] != after[key]} == {"c"}


def test_the_place_does_not_change_between_versions() -> None:
    """The hash is part of the promise that a restart keeps each conversation at its server."""
    assert affinity("http://a:8000/v1", 1, "key") == pytest.approx(1.12754908)
