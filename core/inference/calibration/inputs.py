"""The inputs of a model's MLPs while it reads conversations."""

from collections.abc import Mapping, Sequence
from typing import Final

from core.inference.batching.prefix import BLOCK_SIZE
from core.inference.batching.prompts import prompts_step
from core.inference.calibration.conversations import conversation_ids, read_conversations
from core.inference.networks.decoder import Decoder
from core.inference.tokens.template import ChatTemplate
from core.inference.weights.gptq import Moments, no_moments
from core.inference.weights.layout import matrices
from core.inference.weights.packing import MLP

LONGEST: Final = 256
"""Ids of a conversation that are read."""
BLOCKS: Final = LONGEST // BLOCK_SIZE
"""Blocks of the KV cache that a conversation needs."""


def observed_moments(decoder: Decoder, template: ChatTemplate) -> Mapping[str, Sequence[Moments]]:
    """Moments of the inputs of each matrix of the MLPs, by its packed name, in each layer."""
    sizes = {name: matrices(decoder.shape)[name] for name in MLP}
    found = {name: [no_moments(matrix.columns) for _ in range(matrix.layers)] for name, matrix in sizes.items()}
    for conversation in read_conversations().conversations:
        prompt, reply = conversation_ids(template, conversation)
        step = prompts_step([(prompt + reply)[:LONGEST]])
        for name, inputs in decoder.observe(found, step).items():
            for moments, of_layer in zip(found[name], inputs, strict=True):
                moments.add(of_layer)
    return found
