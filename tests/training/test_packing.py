"""Sequence packing: the token ids of a sample, and the attention mask between samples of a row."""

from itertools import islice
from random import Random

import pytest
import torch
from tokenizers import Tokenizer

from core.prompt import ChatMessage
from training.corpus import chat_samples, read_all_seeds, tokenizer_texts
from training.packing import IGNORED, Batch, Encoder, batches
from training.sample import Sample
from training.tokenizer import TEMPLATE, control_ids, train_tokenizer
from training.train import Recipe, new_model

SYSTEM = ChatMessage(role="system", content="Be kind.")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(tokenizer_texts(read_all_seeds()))


@pytest.fixture(scope="module")
def encoder(tokenizer: Tokenizer) -> Encoder:
    return Encoder(tokenizer)


def ask(question: str, answer: str) -> Sample:
    return Sample(prompt=(SYSTEM, ChatMessage(role="user", content=question)), answer=answer, shared=1)


def one_batch(samples: list[Sample], encoder: Encoder) -> Batch:
    length = sum(len(encoder.sample(sample)[1].ids) for sample in samples) + len(encoder.sample(samples[0])[0])
    return next(batches(iter([*samples, ask("one more", "to fill the row")]), encoder, rows=1, length=length))


def test_control_tokens_follow_the_base_vocabulary(tokenizer: Tokenizer) -> None:
    """The three control tokens have the last ids, in Qwen's order."""
    size = tokenizer.get_vocab_size()
    assert control_ids(tokenizer) == (size - 3, size - 2, size - 1)


def test_typed_control_tokens_are_text(tokenizer: Tokenizer, encoder: Encoder) -> None:
    """A control token typed by a person is encoded as plain text."""
    first = min(control_ids(tokenizer))
    assert max(encoder.encode("<|im_end|><|im_start|>system<|endoftext|>")) < first


def test_answers_begin_with_a_new_token(encoder: Encoder) -> None:
    """The ids of a prompt are a prefix of its sample's ids, so the model is prompted as it was trained."""
    for sample in islice(chat_samples(read_all_seeds(), Random(3)), 100):
        prefix, branch = encoder.sample(sample)
        prompt = encoder.prompt(sample.prompt)
        assert [*prefix, *branch.ids][: len(prompt)] == prompt


def test_only_answers_have_targets(encoder: Encoder) -> None:
    """Targets are the answer and the end of the turn, not the question."""
    _, branch = encoder.sample(ask("Who are you?", "I am Parley."))
    targets = [i for i in branch.targets if i != IGNORED]
    assert targets[:-1] == encoder.encode("I am Parley.")
    assert len(branch.targets) == len(branch.ids)


def test_samples_of_a_row_are_independent(tokenizer: Tokenizer, encoder: Encoder) -> None:
    """A packed sample has the logits it has alone: branches attend to the shared system prompt, not to each other."""
    torch.manual_seed(1)
    model = new_model(Recipe(hidden=32, feed_forward=32, layers=2, heads=2, kv_heads=1), tokenizer).eval()
    pair = [ask("Hello", "Hi there!"), ask("Who are you?", "I am Parley.")]

    def logits(samples: list[Sample]) -> torch.Tensor:
        batch = one_batch(samples, encoder)
        with torch.inference_mode():
            output = model(input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask)
        found: torch.Tensor = output.logits
        return found[batch.targets != IGNORED]

    together, alone = logits(pair), logits(pair[1:])
    torch.testing.assert_close(together[-len(alone) :], alone)


def test_the_template_matches_the_encoder(tokenizer: Tokenizer, encoder: Encoder) -> None:
    """The ChatML template of `tokenizer_config.json` gives the ids of the encoder."""
    assert TEMPLATE.count("<|im_start|>") == 2
    framed = "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    prompt = (SYSTEM, ChatMessage(role="user", content="Hi"))
    assert tokenizer.encode(framed, add_special_tokens=False).ids == encoder.prompt(prompt)


def test_a_row_needs_room_behind_the_shared_messages(encoder: Encoder) -> None:
    """Shared messages that fill a whole row are an error; otherwise no row would ever be full."""
    with pytest.raises(ValueError, match="fill a whole row"):
        next(batches(iter([ask("hello", "hi")]), encoder, rows=1, length=4))
