"""From a step to its tokens: the network's forward, then sampling."""

from collections.abc import Iterator
from itertools import islice
from random import Random

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import Floats
from core.inference.batching.network import Network
from core.inference.batching.sampler import choose
from core.inference.batching.scheduler import Chunk, Step
from core.inference.batching.sequence import Sampled, Sequence


class Runner:
    """Used by one thread only.

    `allowed`: bool [vocabulary], the tokens that may be sampled; everything else is masked.
    """

    def __init__(self, network: Network, allowed: NDArray[np.bool]) -> None:
        self._network = network
        self._blocked = np.flatnonzero(~allowed)
        self._randomness: dict[str, Random] = {}

    def run(self, step: Step) -> list[list[Sampled]]:
        """Runs a step; for each chunk the tokens sampled, one more than guesses that were right, or none."""
        for sequence in step.gone:
            self._randomness.pop(sequence.job.id, None)
        logits = self._network.run(step)
        logits[:, self._blocked] = -np.inf
        rows = iter(logits)
        return [list(self._choose(chunk, list(islice(rows, chunk.outputs)))) for chunk in step.chunks]

    def _choose(self, chunk: Chunk, logits: list[Floats]) -> Iterator[Sampled]:
        """Samples token after token, as long as each was guessed: the reply is the same without guesses."""
        sequence, job = chunk.sequence, chunk.sequence.job
        random = self._random(sequence)
        for number, row in enumerate(logits):
            ids = [*sequence.ids, *chunk.guesses[:number]] if job.sampling.repetition_penalty != 1.0 else []
            sampled = choose(row, ids, job.sampling, random, job.alternatives)
            yield sampled
            if (sampled.id,) != chunk.guesses[number : number + 1]:
                return

    def _random(self, sequence: Sequence) -> Random:
        """A sequence's own randomness: the same reply alone and beside others."""
        key = sequence.job.id
        if key not in self._randomness:
            self._randomness[key] = Random(sequence.job.seed)  # noqa: S311  it draws words, not secrets
        return self._randomness[key]
