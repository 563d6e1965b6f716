"""The sampler against transformers' logits processors."""

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ml_dtypes import bfloat16
from numpy.typing import NDArray
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from core.inference.arrays import Floats
from core.inference.batching.sampler import apply_repetition_penalty, distribution, sample
from core.inference.batching.sequence import Sampling

SIZE = 1000
OPTIONS = st.builds(
    Sampling,
    temperature=st.floats(0.05, 3),
    top_k=st.integers(0, SIZE + 10),
    top_p=st.floats(0, 1),
    repetition_penalty=st.floats(0.2, 5),
)


def logits(seed: int) -> Floats:
    """Random logits [SIZE], with masked control tokens and with ties from rounding to bf16."""
    made = np.random.default_rng(seed).normal(scale=3, size=SIZE).astype(bfloat16).astype(np.float32)
    made[SIZE - 20 :] = -np.inf
    return made


def expected(scores: Floats, ids: list[int], options: Sampling) -> Floats:
    """The distribution that `generate` samples from."""
    processors = LogitsProcessorList([RepetitionPenaltyLogitsProcessor(options.repetition_penalty)])
    processors.append(TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        processors.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1:
        processors.append(TopPLogitsWarper(options.top_p))
    filtered = processors(torch.LongTensor([ids]), torch.from_numpy(scores)[None])
    probabilities: Floats = filtered[0].softmax(-1).numpy()
    return probabilities


@given(OPTIONS, st.integers(0, 10_000), st.lists(st.integers(0, SIZE - 21), min_size=1, max_size=20))
def test_same_distribution_as_transformers(options: Sampling, seed: int, seen: list[int]) -> None:
    """For any options, tokens have the probability that transformers gives them.

    Tokens with equal scores are compared as one group: which of them top-p drops depends on the sort.
    """
    scores = logits(seed)
    penalised = apply_repetition_penalty(scores, seen, options.repetition_penalty)
    tokens, probabilities = distribution(penalised, options)
    ours = np.zeros(SIZE, np.float32)
    ours[tokens] = probabilities
    _, score_of = np.unique(penalised, return_inverse=True)

    def by_score(each: Floats) -> NDArray[np.float64]:
        return np.bincount(score_of, weights=each).astype(np.float64)

    np.testing.assert_allclose(by_score(ours), by_score(expected(scores, seen, options)), rtol=1e-5, atol=1e-6)


@given(st.floats(0.2, 5), st.integers(0, 10_000))
def test_greedy_is_the_likeliest_token_after_the_penalty(penalty: float, seed: int) -> None:
    """At temperature 0 the likeliest token is chosen, with the repetition penalty as in transformers."""
    scores, ids = logits(seed), [3, 3, 5]
    process = RepetitionPenaltyLogitsProcessor(penalty)
    found = process(torch.LongTensor([ids]), torch.from_numpy(scores)[None])[0].argmax()
    sampling = Sampling(temperature=0.0, top_k=5, top_p=0.5, repetition_penalty=penalty)
    assert sample(scores, ids, sampling, Random(0)).id == found


@pytest.mark.parametrize("seed", [0, 1, -12345])
def test_a_seed_is_reproducible(seed: int) -> None:
    """The same seed draws the same tokens."""

    def draw() -> list[int]:
        random = Random(seed)
        return [sample(logits(1), [0], Sampling(temperature=1.0), random).id for _ in range(20)]

    assert draw() == draw()
    assert len(set(draw())) > 1


def test_draws_follow_the_distribution() -> None:
    """Over many draws, the frequency of each token is its probability."""
    options, random = Sampling(temperature=1.5, top_k=4), Random(0)
    drawn = [sample(logits(1), [0], options, random).id for _ in range(4000)]
    shares = np.bincount(drawn, minlength=SIZE) / len(drawn)
    np.testing.assert_allclose(shares, expected(logits(1), [0], options), rtol=0, atol=0.03)


def test_logprobs_are_those_of_the_masked_logits() -> None:
    """Temperature, top-k and penalty do not change the log-probabilities; masked tokens have probability 0."""
    scores, ids = logits(4), list(range(50))
    options = Sampling(temperature=2.0, top_k=3, top_p=0.5, repetition_penalty=2.0)
    sampled = sample(scores, ids, options, Random(0), top_logprobs=5)
    raw = torch.from_numpy(scores).log_softmax(-1)
    assert sampled.logprob is not None
    assert sampled.logprob.value == pytest.approx(float(raw[sampled.id]))
    assert [logprob.id for logprob in sampled.top] == raw.argsort(descending=True, stable=True)[:5].tolist()
    assert [logprob.value for logprob in sampled.top] == pytest.approx(raw.topk(5).values.tolist())


def test_logprobs_are_reported_on_request_only() -> None:
    """Without `top_logprobs` there are no log-probabilities; 0 reports only the sampled token's own."""
    assert sample(logits(1), [0], Sampling(), Random(0)).logprob is None
    alone = sample(logits(1), [0], Sampling(), Random(0), top_logprobs=0)
    assert alone.logprob is not None
    assert alone.top == ()


def test_a_temperature_too_small_to_divide_by_is_greedy() -> None:
    """A temperature that would overflow the scores is greedy."""
    assert sample(logits(2), [0], Sampling(temperature=1e-40), Random(0)).id == logits(2).argmax()


@pytest.mark.parametrize("allowed", [1, 3, 200])
def test_forbidden_tokens_are_no_candidates(allowed: int) -> None:
    """If fewer tokens are allowed than top-k and the log-probabilities ask for, the others are left out."""
    scores = np.full(SIZE, -np.inf, np.float32)
    scores[7 : 7 + allowed] = np.arange(allowed)
    tokens, probabilities = distribution(scores, Sampling(temperature=1.0, top_k=20))
    assert len(tokens) == min(allowed, 20)
    assert probabilities.all()
    top = sample(scores, [0], Sampling(), Random(0), top_logprobs=20).top
    assert len(top) == min(allowed, 20)
    assert np.isfinite([logprob.value for logprob in top]).all()
