"""What runs a model: the lean decoder, or transformers' own forward for everything else."""

from typing import Protocol

from core.inference.arrays import Floats
from core.inference.batching.scheduler import Step


class Network(Protocol):
    """Its keys and values fill `blocks` at most; with `shares_blocks`, what stands in one serves whoever holds it."""

    @property
    def vocabulary(self) -> int: ...

    @property
    def context(self) -> int:
        """Tokens that it was made for."""

    @property
    def blocks(self) -> int: ...

    @property
    def shares_blocks(self) -> bool: ...

    @property
    def guess_within(self) -> int:
        """In a step of so many tokens guesses come nearly for nothing; 0 where it cannot take any."""

    @property
    def dtype(self) -> str:
        """How the weights are held."""

    @property
    def weight_bytes(self) -> int:
        """What it reads for a token."""

    @property
    def path(self) -> str:
        """What computes, in a few words for the operator."""

    def run(self, step: Step) -> Floats:
        """Runs a step: logits, float32 [outputs of the chunks, vocabulary]."""
