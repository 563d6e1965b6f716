"""From a step to its tokens: the network's forward, then sampling."""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from core.inference.network import Network
from core.inference.sampler import choose
from core.inference.scheduler import Chunk, Step
from core.inference.sequence import Sampled, Sequence


class Runner:
    """Used by one thread only.

    `allowed`: bool [vocabulary], the tokens that may be sampled; everything else is masked.
    """

    def __init__(self, network: Network, allowed: Tensor) -> None:
        self._network = network
        self._blocked = (~allowed).nonzero().squeeze(1)
        self._generators: dict[str, torch.Generator] = {}

    @torch.inference_mode()
    def run(self, step: Step) -> list[list[Sampled]]:
        """Runs a step; for each chunk the tokens sampled, one more than guesses that were right, or none."""
        for sequence in step.gone:
            self._generators.pop(sequence.job.id, None)
        logits = iter(self._network.run(step).index_fill_(1, self._blocked, -torch.inf))
        return [list(self._choose(chunk, list(islice(logits, chunk.outputs)))) for chunk in step.chunks]

    def _choose(self, chunk: Chunk, logits: list[Tensor]) -> Iterator[Sampled]:
        """Samples token after token, as long as each was guessed: the reply is the same without guesses."""
        sequence, job = chunk.sequence, chunk.sequence.job
        generator = self._generator(sequence)
        for number, row in enumerate(logits):
            ids = [*sequence.ids, *chunk.guesses[:number]] if job.sampling.repetition_penalty != 1.0 else []
            sampled = choose(row, torch.tensor(ids, dtype=torch.int64), job.sampling, generator, job.alternatives)
            yield sampled
            if (sampled.id,) != chunk.guesses[number : number + 1]:
                return

    def _generator(self, sequence: Sequence) -> torch.Generator:
        """A sequence's own randomness: the same reply alone and beside others."""
        key = sequence.job.id
        if key not in self._generators:
            self._generators[key] = torch.Generator().manual_seed(sequence.job.seed)
        return self._generators[key]
