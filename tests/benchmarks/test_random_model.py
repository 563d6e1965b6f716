from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks.random_model import SHAPE, TOP_K, randomise, word_tokens, zero_logits
from tests.core.inference.tiny import write_tiny_model

SMALL = Qwen2Config(vocab_size=512, hidden_size=32, intermediate_size=32, num_hidden_layers=1, tie_word_embeddings=True)


def test_zeroed_tokens_are_never_sampled() -> None:
    """The logit of a zeroed token is always zero, which is not among the top k that sampling considers."""
    torch.manual_seed(0)
    network = Qwen2ForCausalLM(SMALL)
    zero_logits(network, (7, 9))
    with torch.inference_mode():
        logits = network(torch.randint(512, (4, 8))).logits
    assert (logits[..., [7, 9]] == 0).all()
    assert (logits.topk(TOP_K).values > 0).all()


def test_a_reply_of_words_encodes_to_its_tokens(tmp_path: Path) -> None:
    """A text decoded from tokens of `word_tokens` encodes to the same tokens."""
    path = write_tiny_model(tmp_path) / "tokenizer.json"
    reader, found = Tokenizer.from_file(str(path)), sorted(word_tokens(path))
    assert len(found) > 3
    assert reader.encode(reader.decode(found), add_special_tokens=False).ids == found


def test_random_signs_prevent_repetition() -> None:
    """With tied embeddings each token predicts itself; random signs before the head prevent that."""
    torch.manual_seed(0)
    network = Qwen2ForCausalLM(SMALL)
    ids = torch.arange(512)[:, None]
    with torch.inference_mode():
        before = (network(ids).logits.argmax(-1) == ids).float().mean()
        randomise(network)
        after = (network(ids).logits.argmax(-1) == ids).float().mean()
    assert before > 0.9
    assert after < 0.1


def test_has_as_many_parameters_as_the_real_model() -> None:
    """The model has 494,032,768 parameters, as many as the published Qwen2.5-0.5B-Instruct."""
    with torch.device("meta"):
        network = Qwen2ForCausalLM(SHAPE)
    assert sum(weights.numel() for weights in network.parameters()) == 494_032_768
