"""The inputs of a model's matrices while it reads conversations."""

from collections.abc import Callable
from functools import cached_property
from typing import Final

from core.inference.batching.prefix import BLOCK_SIZE
from core.inference.batching.prompts import prompts_step
from core.inference.calibration.conversations import conversation_ids
from core.inference.networks.decoder import Decoder
from core.inference.tokens.template import ChatTemplate
from core.inference.weights.gptq import Moments, no_moments
from core.inference.weights.layout import Matrix

AT_ONCE: Final = 4
"""Conversations in a step. The inputs of all layers are kept until they are counted."""
LONGEST: Final = 256
"""Ids of a conversation that are read."""
BLOCKS: Final = AT_ONCE * LONGEST // BLOCK_SIZE
"""Blocks of the KV cache that a step needs."""


class Inputs:
    """Observes a decoder, which is opened when it is first needed, while it reads our conversations."""

    def __init__(self, open_decoder: Callable[[], Decoder], template: ChatTemplate) -> None:
        self._open_decoder = open_decoder
        self._template = template

    @cached_property
    def _decoder(self) -> Decoder:
        return self._open_decoder()

    def moments(self, name: str, matrix: Matrix) -> list[Moments]:
        """Moments of the inputs of a matrix, by its packed name, in each layer."""
        found = [no_moments(matrix.columns) for _ in range(matrix.layers)]
        texts = [ids[:LONGEST] for ids in conversation_ids(self._template)]
        for start in range(0, len(texts), AT_ONCE):
            inputs = self._decoder.observe(name, prompts_step(texts[start : start + AT_ONCE]))
            for moments, of_layer in zip(found, inputs, strict=True):
                moments.add(of_layer)
        return found
