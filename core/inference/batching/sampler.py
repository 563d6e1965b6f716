"""Sampling from logits, with the same distribution as transformers' logits processors."""

from collections.abc import Sequence
from random import Random
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import Floats
from core.inference.batching.sequence import Logprob, Sampled, Sampling

Ids: TypeAlias = NDArray[np.intp]
ROWS: Final = 128
"""Rows into which `top_k` folds the scores for its first pass; more rows leave fewer column maxima to compare."""
GREEDY_BELOW: Final = 1e-5
"""Temperatures below this are greedy: dividing by them would leave one candidate anyway, or overflow."""
LOWEST: Final = np.finfo(np.float32).min
LARGEST: Final = float(np.finfo(np.float32).max)


class NotFinite(ArithmeticError):
    """The highest score of a row is infinite or not a number, so that no token can be sampled."""


def sample(
    logits: Floats, ids: Sequence[int], sampling: Sampling, random: Random, top_logprobs: int | None = None
) -> Sampled:
    """Sample one token. `logits`: float32 [vocabulary], forbidden tokens already -inf. `ids`: prompt and reply so far.

    Reported log-probabilities are those of `logits`, before any sampling option; None reports none, and no forbidden
    token is reported. Raises NotFinite.
    """
    scores = apply_repetition_penalty(logits, ids, sampling.repetition_penalty)
    token = int(scores.argmax())  # also the first that is no number
    if not abs(float(scores[token]) / max(sampling.temperature, GREEDY_BELOW)) <= LARGEST:
        raise NotFinite
    if sampling.temperature >= GREEDY_BELOW:
        tokens, probabilities = distribution(scores, sampling)
        token = int(tokens[_draw(probabilities, random)])
    if top_logprobs is None:
        return Sampled(id=token)
    peak = logits.max()
    total = peak + np.log(np.exp(logits - peak).sum())

    def logprob(number: int) -> Logprob:
        return Logprob(id=number, value=float(logits[number] - total))

    return Sampled(id=token, logprob=logprob(token), top=tuple(map(logprob, sorted_top_k(logits, top_logprobs))))


def apply_repetition_penalty(logits: Floats, ids: Sequence[int], penalty: float) -> Floats:
    """Make every token that occurs in `ids` less likely (arXiv:1909.05858, CTRL)."""
    if penalty == 1.0:
        return logits
    scores, seen = logits.copy(), logits[ids]
    scores[ids] = np.where(seen < 0, seen * penalty, seen / penalty)
    return scores


def distribution(scores: Floats, sampling: Sampling) -> tuple[Ids, Floats]:
    """The candidates and their probabilities, both [n], after top-k, temperature and top-p.

    Tokens with the same score as the k-th are kept, as in transformers.
    """
    limited = 0 < sampling.top_k < len(scores)
    tokens = top_k(scores, sampling.top_k) if limited else np.arange(len(scores))
    scores = scores[tokens] / sampling.temperature
    if sampling.top_p < 1.0:
        enough = softmax(np.sort(scores)).cumsum() > 1.0 - sampling.top_p
        kept = sorted_top_k(scores, max(1, int(enough.sum())))
        scores, tokens = scores[kept], tokens[kept]
    return tokens, softmax(scores)


def top_k(scores: Floats, count: int) -> Ids:
    """The tokens with the `count` highest scores, ties with the last included: [`count` or more], in order of id.
    Forbidden tokens are left out, so that there may be fewer.

    A first pass compares only column maxima: if `count` columns reach a score, no token below it can be among the
    highest `count`, so columns with a smaller maximum are skipped.
    """
    width = len(scores) // ROWS
    maxima = scores[: ROWS * width].reshape(ROWS, width).max(0)
    columns = np.flatnonzero(maxima >= _kth_highest(maxima, count))
    candidates: Ids = np.concatenate(
        [np.add.outer(np.arange(ROWS) * width, columns).ravel(), np.arange(ROWS * width, len(scores))]
    )
    return candidates[scores[candidates] >= _kth_highest(scores[candidates], count)]


def _kth_highest(scores: Floats, k: int) -> np.float32:
    """The k-th highest score, or the lowest number: no score of a forbidden token reaches it."""
    return max(np.partition(scores, -k)[-k], LOWEST) if k <= len(scores) else LOWEST


def sorted_top_k(scores: Floats, count: int) -> list[int]:
    """The `count` tokens with the highest scores, in descending order; of equal scores the lower id first."""
    if not count:
        return []
    tokens = top_k(scores, count)
    ranked: list[int] = tokens[np.argsort(-scores[tokens], kind="stable")].tolist()
    return ranked[:count]


def softmax(scores: Floats) -> Floats:
    shares: Floats = np.exp(scores - scores.max())
    shares /= shares.sum()
    return shares


def _draw(probabilities: Floats, random: Random) -> int:
    """An index, drawn with its probability."""
    sums = probabilities.cumsum(dtype=np.float64)
    return int(np.searchsorted(sums, random.random() * sums[-1], side="right"))
