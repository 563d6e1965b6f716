"""The next token from the model's logits: the same distribution as transformers' logits processors give."""

from collections.abc import Sequence
from random import Random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import Floats
from core.inference.batching.sequence import Likelihood, Sampled, Sampling

Ids: TypeAlias = NDArray[np.intp]
ROWS = 128
"""Scores stand in so many rows for a first look; the more, the fewer columns to compare."""
GREEDY_BELOW = 1e-5
"""Temperatures below this are greedy: dividing by them would leave one token anyway, or overflow."""


def choose(
    logits: Floats, ids: Sequence[int], sampling: Sampling, random: Random, alternatives: int | None = None
) -> Sampled:
    """Samples one token. `logits`: float32 [vocabulary], control tokens already -inf. `ids`: prompt and reply so far.
    The reported log-probabilities are those of `logits`, before any option.
    """
    scores = penalised(logits, ids, sampling.repetition_penalty)
    if sampling.temperature < GREEDY_BELOW:
        token = int(scores.argmax())
    else:
        tokens, probabilities = distribution(scores, sampling)
        token = int(tokens[_draw(probabilities, random)])
    if alternatives is None:
        return Sampled(id=token)
    peak = logits.max()
    total = peak + np.log(np.exp(logits - peak).sum())

    def likelihood(number: int) -> Likelihood:
        return Likelihood(id=number, logprob=float(logits[number] - total))

    return Sampled(id=token, likelihood=likelihood(token), top=tuple(map(likelihood, best(logits, alternatives))))


def penalised(logits: Floats, ids: Sequence[int], penalty: float) -> Floats:
    """Makes every token that occurs in `ids` less likely (arXiv:1909.05858)."""
    if penalty == 1.0:
        return logits
    scores, seen = logits.copy(), logits[ids]
    scores[ids] = np.where(seen < 0, seen * penalty, seen / penalty)
    return scores


def distribution(scores: Floats, sampling: Sampling) -> tuple[Ids, Floats]:
    """The tokens that may be chosen and their probabilities, both [n]: top-k, temperature, top-p.

    Tokens as likely as the k-th stay in, as in transformers.
    """
    some = 0 < sampling.top_k < len(scores)
    tokens = likeliest(scores, sampling.top_k) if some else np.arange(len(scores))
    scores = scores[tokens] / sampling.temperature
    if sampling.top_p < 1.0:
        enough = softmax(np.sort(scores)).cumsum() > 1.0 - sampling.top_p
        kept = best(scores, max(1, int(enough.sum())))
        scores, tokens = scores[kept], tokens[kept]
    return tokens, softmax(scores)


def likeliest(scores: Floats, count: int) -> Ids:
    """The tokens that score no less than the one in the `count`-th place, [`count` or more], in order of id.

    Most are ruled out by the largest score of the column they are in: where `count` columns reach a score, no token
    below it can be wanted.
    """
    width = len(scores) // ROWS
    highest = scores[: ROWS * width].reshape(ROWS, width).max(0)
    columns = np.flatnonzero(highest >= _place(highest, count))
    among: Ids = np.concatenate(
        [np.add.outer(np.arange(ROWS) * width, columns).ravel(), np.arange(ROWS * width, len(scores))]
    )
    return among[scores[among] >= _place(scores[among], count)]


def _place(scores: Floats, count: int) -> np.float32:
    """The score in the `count`-th place; the lowest there can be where there are fewer."""
    return np.partition(scores, -count)[-count] if count <= len(scores) else np.float32(-np.inf)


def best(scores: Floats, count: int) -> list[int]:
    """The `count` tokens with the highest scores, the best first and the first of those that score the same."""
    if not count:
        return []
    tokens = likeliest(scores, count)
    ranked: list[int] = tokens[np.argsort(-scores[tokens], kind="stable")].tolist()
    return ranked[:count]


def softmax(scores: Floats) -> Floats:
    shares: Floats = np.exp(scores - scores.max())
    shares /= shares.sum()
    return shares


def _draw(probabilities: Floats, random: Random) -> int:
    """A place drawn by its probability."""
    sums = probabilities.cumsum(dtype=np.float64)
    return int(np.searchsorted(sums, random.random() * sums[-1], side="right"))
