"""Run a step: the network's forward pass, then sampling."""

from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import Floats
from core.inference.batching.constraint import ConstraintFailed
from core.inference.batching.network import Network
from core.inference.batching.sampler import NotFinite, sample
from core.inference.batching.scheduler import Chunk, Step
from core.inference.batching.sequence import Fault, Sampled, Sequence

Row: TypeAlias = list[Sampled] | Fault
"""The tokens sampled for a chunk, or why there are none."""


class Runner:
    """Used by one thread only.

    `allowed`: bool [vocabulary], the tokens that may be sampled; the logits of all others are masked.
    """

    def __init__(self, network: Network, allowed: NDArray[np.bool]) -> None:
        self._network = network
        self._blocked = np.flatnonzero(~allowed)
        self._generators: dict[str, Random] = {}

    def run(self, step: Step) -> list[Row]:
        """The tokens sampled for each chunk: none in mid-prompt, else one more than accepted draft tokens.

        A row of which no token can be sampled is a fault of its own; the others are not affected.
        """
        for sequence in step.removed:
            self._generators.pop(sequence.job.id, None)
        logits = self._network.run(step)
        logits[:, self._blocked] = -np.inf
        rows = iter(logits)
        return [self._row(chunk, list(islice(rows, chunk.outputs))) for chunk in step.chunks]

    def _row(self, chunk: Chunk, logits: list[Floats]) -> Row:
        try:
            return list(self._sample(chunk, logits))
        except NotFinite:
            return "not_finite"
        except ConstraintFailed:
            return "constraint_failed"

    def _sample(self, chunk: Chunk, logits: list[Floats]) -> Iterator[Sampled]:
        """Sample one token per row of logits, up to the first that differs from the draft.

        Draft tokens are never sampled differently than without speculation, so the reply is the same. The constraint
        sees every sampled token, and never a rejected one.
        """
        sequence, job = chunk.sequence, chunk.sequence.job
        random = self._generator(sequence)
        for number, row in enumerate(logits):
            sequence.constraint.restrict(row)
            ids = [*sequence.ids, *chunk.draft[:number]] if job.sampling.repetition_penalty != 1.0 else []
            sampled = sample(row, ids, job.sampling, random, job.top_logprobs)
            sequence.constraint.advance(sampled.id)
            yield sampled
            if (sampled.id,) != chunk.draft[number : number + 1]:
                return

    def _generator(self, sequence: Sequence) -> Random:
        """The sequence's own random number generator: other sequences in the batch cannot change its reply."""
        key = sequence.job.id
        if key not in self._generators:
            self._generators[key] = Random(sequence.job.seed)  # noqa: S311  it samples tokens, not secrets
        return self._generators[key]
