import math

import numpy as np
import pytest

from benchmarks.agreement import SPAN, agreement, joined
from core.inference.arrays import Floats

IDS = [number % 3 for number in range(SPAN + 5)]


def random_logits(seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(len(IDS), 3)).astype(np.float32)


def test_a_model_agrees_with_itself() -> None:
    """Equal logits have the same top token everywhere and no divergence, at every position of a long text."""
    found = agreement(random_logits(0), random_logits(0), IDS)
    assert len(found.same_top) == len(IDS)
    assert found.same_top.all()
    assert found.divergence.abs().max() < 1e-6


def test_divergence_is_from_the_exact_distribution() -> None:
    """The divergence is that of Kullback and Leibler, of the actual distribution from the exact one."""
    exact, actual = np.log([[0.5, 0.25, 0.25]]), np.log([[0.25, 0.5, 0.25]])
    found = agreement(exact.astype(np.float32), actual.astype(np.float32), [0])
    assert float(found.divergence[0]) == pytest.approx(0.25 * math.log(2))
    assert not found.same_top.any()


def test_perplexity_counts_what_follows() -> None:
    """Perplexity is about the tokens after the first of each text: 3 if three tokens are always equally likely."""
    even = np.zeros((len(IDS), 3), np.float32)
    found = joined([agreement(even, even, IDS), agreement(even[:1], even[:1], [0])])
    assert len(found.surprise) == len(IDS) - 1
    assert found.perplexity == pytest.approx(3.0)
    certain = np.full((len(IDS), 3), -50.0, np.float32)
    certain[range(len(IDS) - 1), IDS[1:]] = 50.0
    assert agreement(even, certain, IDS).perplexity == pytest.approx(1.0)
