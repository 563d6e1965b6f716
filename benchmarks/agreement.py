"""Agreement of two models about a text: of their logits after each token."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.inference.arrays import Floats

SPAN = 64
"""Positions that are compared at once: the logits of a large vocabulary take half a megabyte each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement of a model with the exact one at each position of some texts, as tensors [positions].

    `same_top` is True if the most likely next token is the same. `divergence` is the Kullback-Leibler divergence of the
    distribution from the exact one, in nats. `surprise` is the negative log-likelihood of each token of the texts but
    the first ones, also in nats.
    """

    same_top: Tensor
    divergence: Tensor
    surprise: Tensor

    @property
    def perplexity(self) -> float:
        return float(self.surprise.mean().exp())


def agreement(exact: Floats, actual: Floats, ids: Sequence[int]) -> Agreement:
    """Agreement of logits [length, vocabulary] after each of the ids."""
    following = torch.tensor(ids[1:], dtype=torch.long)
    same_top, divergence, surprise = [], [], []
    for start in range(0, len(ids), SPAN):
        expected, found = (torch.tensor(logits[start : start + SPAN]) for logits in (exact, actual))
        same_top.append(expected.argmax(-1) == found.argmax(-1))
        expected, found = expected.log_softmax(-1), found.log_softmax(-1)
        divergence.append((expected.exp() * (expected - found)).sum(-1))
        next_ids = following[start : start + SPAN]
        surprise.append(-found[torch.arange(len(next_ids)), next_ids])
    return Agreement(same_top=torch.cat(same_top), divergence=torch.cat(divergence), surprise=torch.cat(surprise))


def joined(parts: Iterable[Agreement]) -> Agreement:
    """The agreement about several texts together."""
    known = list(parts)
    return Agreement(
        same_top=torch.cat([part.same_top for part in known]),
        divergence=torch.cat([part.divergence for part in known]),
        surprise=torch.cat([part.surprise for part in known]),
    )
