"""The next token from the model's logits: the same distribution as transformers' logits processors give."""

from itertools import islice

import torch
from torch import Tensor
from torch.nn.functional import pad

from core.inference.sequence import Likelihood, Sampled, Sampling

BLOCK = 128
GREEDY_BELOW = 1e-5
"""Temperatures below this are greedy: dividing by them would leave one token anyway, or overflow."""


def choose(
    logits: Tensor, ids: Tensor, sampling: Sampling, generator: torch.Generator, alternatives: int | None = None
) -> Sampled:
    """Samples one token. `logits`: float32 [vocabulary], control tokens already -inf. `ids`: int64 [length], prompt
    and reply so far. The reported log-probabilities are those of `logits`, before any option.
    """
    scores = penalised(logits, ids, sampling.repetition_penalty)
    if sampling.temperature < GREEDY_BELOW:
        token = int(scores.numpy().argmax())  # several times as fast as torch's
    else:
        tokens, probabilities = distribution(scores, sampling)
        token = int(tokens[_draw(probabilities, generator)])
    if alternatives is None:
        return Sampled(id=token)
    total = logits.logsumexp(-1)
    tokens = likeliest(logits, alternatives)
    best = (logits[tokens] - total).sort(descending=True, stable=True)
    ranked = zip(tokens[best.indices].tolist(), best.values.tolist(), strict=True)
    top = tuple(Likelihood(id=i, logprob=p) for i, p in islice(ranked, alternatives))
    return Sampled(id=token, likelihood=Likelihood(id=token, logprob=float(logits[token] - total)), top=top)


def penalised(logits: Tensor, ids: Tensor, penalty: float) -> Tensor:
    """Makes every token that occurs in `ids` less likely (arXiv:1909.05858)."""
    if penalty == 1.0:
        return logits
    seen = logits[ids]
    return logits.scatter(0, ids, torch.where(seen < 0, seen * penalty, seen / penalty))


def distribution(scores: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """The tokens that may be chosen and their probabilities, both [n]: top-k, temperature, top-p.

    Only what top-k leaves is sorted for top-p. Tokens as likely as the k-th stay in, as in transformers.
    """
    tokens = torch.arange(len(scores))
    if 0 < sampling.top_k < len(scores):
        tokens = likeliest(scores, sampling.top_k)
        scores = scores[tokens]
    scores = scores / sampling.temperature
    if sampling.top_p < 1.0:
        scores, order = scores.sort()
        tokens = tokens[order]
        kept = scores.softmax(-1).cumsum(-1) > 1.0 - sampling.top_p
        kept[-1] = True
        scores, tokens = scores[kept], tokens[kept]
    return tokens, scores.softmax(-1)


def likeliest(scores: Tensor, count: int) -> Tensor:
    """The tokens that score no less than the one in the `count`-th place, int64 [`count` or more], in order of id.

    Most are ruled out by the largest score of the block they are in: where `count` blocks reach a score, no token below
    it can be wanted.
    """
    if not count:
        return torch.empty(0, dtype=torch.int64)
    blocks = pad(scores, (0, -len(scores) % BLOCK), value=-torch.inf).view(-1, BLOCK)
    highest = blocks.amax(1)
    promising = (highest >= highest.topk(min(count, len(highest))).values[-1]).nonzero().squeeze(1)
    tokens = (promising[:, None] * BLOCK + torch.arange(BLOCK)).flatten()
    tokens = tokens[tokens < len(scores)]
    found = scores[tokens]
    return tokens[found >= found.topk(min(count, len(found))).values[-1]]


def _draw(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """A place drawn by its probability. `multinomial` is slow for a whole vocabulary."""
    sums = probabilities.cumsum(-1, dtype=torch.float64)
    return torch.searchsorted(sums, torch.rand(1, generator=generator, dtype=torch.float64) * sums[-1], right=True)
