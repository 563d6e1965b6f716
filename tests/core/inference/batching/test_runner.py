"""Replies of the loop against transformers' `generate`."""

import numpy as np
import pytest
import torch
from transformers import Qwen2ForCausalLM

from core.inference.batching.sequence import Sampling
from core.inference.loader import LoadedModel
from core.inference.networks.generic import GenericNetwork
from tests.core.inference.options import batch_limits
from tests.core.inference.rows import Rig, sequence

PROMPTS = ["the cat sat", "你好，今天", "hello hello world, and the dog sat on a very long mat indeed"]


@pytest.fixture(params=["lean", "transformers"])
def model(request: pytest.FixtureRequest, tiny: LoadedModel, tiny_generic: LoadedModel) -> LoadedModel:
    return tiny if request.param == "lean" else tiny_generic


def generated(model: LoadedModel, oracle: Qwen2ForCausalLM, prompt: list[int], penalty: float) -> list[int]:
    """The ids that `generate` writes with the same tokens suppressed."""
    ids = torch.tensor([prompt])
    written = oracle.generate(  # type: ignore[misc]  # its annotation of `self` is a protocol
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=40,
        repetition_penalty=penalty,
        suppress_tokens=np.flatnonzero(~model.allowed).tolist(),
        eos_token_id=sorted(model.eos_ids),
        pad_token_id=min(model.eos_ids),
    )
    ids_written: list[int] = written[0].tolist()
    return ids_written


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize("prefill_tokens", [256, 3])
def test_greedy_equals_generate(
    model: LoadedModel, oracle: Qwen2ForCausalLM, penalty: float, prefill_tokens: int
) -> None:
    """A batch of several rows, with whole or chunked prefill, writes what `generate` writes for each prompt alone."""
    prompts = [model.vocabulary.encode(text) for text in PROMPTS]
    sequences = [sequence(prompt, Sampling(repetition_penalty=penalty)) for prompt in prompts]
    Rig(model, batch_limits(prefill_tokens=prefill_tokens)).run(*sequences)
    for each, prompt in zip(sequences, prompts, strict=True):
        assert each.ids == generated(model, oracle, prompt, penalty)


def test_neighbours_do_not_change_a_seeded_reply(model: LoadedModel) -> None:
    """A seeded reply is the same alone and in a batch."""
    prompt, sampling = model.vocabulary.encode(PROMPTS[0]), Sampling(temperature=1.0)
    alone, beside, other = (sequence(prompt, sampling) for _ in range(3))
    Rig(model).run(alone)
    Rig(model).run(other, beside)
    assert alone.ids == beside.ids


def test_only_plain_text_and_eos_are_sampled(model: LoadedModel) -> None:
    """At any temperature no control token except EOS is sampled, and no padding row."""
    sequences = [sequence([number], Sampling(temperature=5.0)) for number in range(8)]
    Rig(model).run(*sequences)
    for each in sequences:
        written = each.ids[1:]
        assert all(model.vocabulary.is_plain(token) or token in model.eos_ids for token in written)
    assert not model.allowed[sorted(model.vocabulary.control.keys() - model.eos_ids)].any()
    assert not model.allowed[len(model.vocabulary.tokens) + len(model.vocabulary.control) :].any()


def test_the_cache_of_finished_sequences_is_freed(tiny_generic: LoadedModel) -> None:
    """The step after a sequence's end frees its keys and values in transformers' caches."""
    prompt = tiny_generic.vocabulary.encode(PROMPTS[0])
    Rig(tiny_generic, batch_limits(max_batch=1)).run(*(sequence(prompt) for _ in range(3)))
    assert isinstance(tiny_generic.network, GenericNetwork)
    assert tiny_generic.network.cached_sequences == 0
