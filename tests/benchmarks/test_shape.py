from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks.shape import GENERATION, SHAPE, mute, scatter, words
from tests.core.inference.tiny import write_tiny_model

LIKELIEST = int(GENERATION["top_k"])
SMALL = Qwen2Config(vocab_size=512, hidden_size=32, intermediate_size=32, num_hidden_layers=1, tie_word_embeddings=True)


def test_noise_never_ends_a_reply() -> None:
    """A muted token's logit is zero whatever was read, and so it is not among those that are sampled from."""
    torch.manual_seed(0)
    network = Qwen2ForCausalLM(SMALL)
    mute(network, (7, 9))
    with torch.inference_mode():
        logits = network(torch.randint(512, (4, 8))).logits
    assert (logits[..., [7, 9]] == 0).all()
    assert (logits.topk(LIKELIEST).values > 0).all()


def test_a_reply_of_words_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Any tokens out of `words`, written one after the other, are read as the same tokens."""
    path = write_tiny_model(tmp_path) / "tokenizer.json"
    reader, found = Tokenizer.from_file(str(path)), sorted(words(path))
    assert len(found) > 3
    assert reader.encode(reader.decode(found), add_special_tokens=False).ids == found


def test_noise_does_not_repeat_itself() -> None:
    """Tied embeddings find a token the likeliest to follow itself; with random signs before the head they do not."""
    torch.manual_seed(0)
    network = Qwen2ForCausalLM(SMALL)
    ids = torch.arange(512)[:, None]
    with torch.inference_mode():
        before = (network(ids).logits.argmax(-1) == ids).float().mean()
        scatter(network)
        after = (network(ids).logits.argmax(-1) == ids).float().mean()
    assert before > 0.9
    assert after < 0.1


def test_is_as_large_as_the_real_one() -> None:
    """The shape has 494,032,768 weights, as Qwen2.5-0.5B-Instruct is published with."""
    with torch.device("meta"):
        network = Qwen2ForCausalLM(SHAPE)
    assert sum(weights.numel() for weights in network.parameters()) == 494_032_768
