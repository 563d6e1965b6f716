"""Steps over texts that are served to nobody."""

import numpy as np

from core.inference.batching.prompts import prompts_step, reply_step
from core.inference.loader import LoadedModel
from tests.core.inference.rows import logits


def test_prompts_have_the_logits_of_their_last_token(tiny: LoadedModel) -> None:
    prompts = [list(range(5)), list(range(7, 40))]
    found = tiny.network.run(prompts_step(prompts))
    assert np.array_equal(found, [logits(tiny, prompt) for prompt in prompts])


def test_a_reply_has_the_logits_of_each_of_its_tokens(tiny: LoadedModel) -> None:
    """After the prompt, and after each token of the reply."""
    prompt, reply = list(range(5)), list(range(7, 30))
    found = tiny.network.run(reply_step(prompt, reply))
    assert np.array_equal(found, [logits(tiny, prompt + reply[:count]) for count in range(len(reply) + 1)])
