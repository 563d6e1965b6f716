"""The interface of a network: the lean decoder, or transformers for every other architecture."""

from typing import Protocol

from core.inference.arrays import Floats
from core.inference.batching.scheduler import Step


class Network(Protocol):
    """A causal language model with a KV cache of `blocks` blocks. Used by one thread only."""

    @property
    def vocabulary_size(self) -> int: ...

    @property
    def context_length(self) -> int:
        """Longest sequence, in tokens, that the model was trained for."""

    @property
    def blocks(self) -> int: ...

    @property
    def supports_prefix_cache(self) -> bool:
        """Whether sequences can share the content of KV cache blocks."""

    @property
    def max_speculative_step(self) -> int:
        """Largest step, in tokens, in which speculative tokens are almost free; 0 disables speculation."""

    @property
    def dtype(self) -> str:
        """Data type of the weights."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that a decode step reads."""

    @property
    def path(self) -> str:
        """The implementation that runs the model, in a few words for the operator."""

    def run(self, step: Step) -> Floats:
        """Run a step: logits, float32 [sum of the chunks' outputs, vocabulary_size]."""
