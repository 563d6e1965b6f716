"""What rounding costs a model, judged by conversations that it was not rounded for."""

from collections.abc import Iterator

import numpy as np

from core.inference.arrays import Floats
from core.inference.batching.prompts import reply_step
from core.inference.calibration.conversations import conversation_ids, read_conversations
from core.inference.calibration.inputs import LONGEST
from core.inference.networks.decoder import Decoder
from core.inference.tokens.template import ChatTemplate


def divergence(exact: Decoder, rounded: Decoder, template: ChatTemplate) -> float:
    """Mean Kullback-Leibler divergence of the next token's distribution from the exact one, in nats, over replies."""
    return float(np.concatenate(list(_divergences(exact, rounded, template))).mean())


def _divergences(exact: Decoder, rounded: Decoder, template: ChatTemplate) -> Iterator[Floats]:
    """For each conversation, the divergence at each token of the last reply: [tokens]."""
    for conversation in read_conversations().judged:
        prompt, reply = (ids[: LONGEST // 2] for ids in conversation_ids(template, conversation))
        expected, found = (_log_softmax(decoder.run(reply_step(prompt, reply))) for decoder in (exact, rounded))
        yield (np.exp(expected) * (expected - found)).sum(-1)


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(-1, keepdims=True)
    found: Floats = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return found
