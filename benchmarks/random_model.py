"""A model of Qwen2.5-0.5B-Instruct's exact shape with random weights.

Run `python -m benchmarks.random_model FOLDER TOKENIZER` to write it.
It is as fast and as large as the real model; its replies are random words. They are words because these encode to the
same tokens when a reply comes back as history, as the replies of a real model do.
"""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM
from transformers.utils import logging as transformers_logging

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
WORD = re.compile("Ġ[A-Za-z]+")  # byte-level BPE writes a space as Ġ
START_OF_TEXT, END_OF_MESSAGE = 151643, 151645
SHAPE = Qwen2Config(
    vocab_size=151936,
    hidden_size=896,
    intermediate_size=4864,
    num_hidden_layers=24,
    num_attention_heads=14,
    num_key_value_heads=2,
    max_position_embeddings=32768,
    rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
    rms_norm_eps=1e-6,
    tie_word_embeddings=True,
    bos_token_id=START_OF_TEXT,
    eos_token_id=END_OF_MESSAGE,
)
TOP_K = 20
GENERATION: dict[str, object] = {
    "bos_token_id": START_OF_TEXT,
    "pad_token_id": START_OF_TEXT,
    "eos_token_id": [END_OF_MESSAGE, START_OF_TEXT],
    "do_sample": True,
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": TOP_K,
    "repetition_penalty": 1.1,
}


def write_random_model(folder: Path, tokenizer: Path) -> None:
    """Writes the model with the tokenizer of the folder `tokenizer`. The model's folder appears only when complete."""
    transformers_logging.disable_progress_bar()
    torch.manual_seed(0)
    network = Qwen2ForCausalLM(SHAPE).bfloat16()
    zero_logits(network, sorted(set(range(SHAPE.vocab_size)) - word_tokens(tokenizer / TOKENIZER_FILES[0])))
    randomise(network)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        made = Path(name) / "model"
        network.save_pretrained(made)
        (made / "generation_config.json").write_text(json.dumps(GENERATION, indent=2), "utf-8")
        for file in TOKENIZER_FILES:
            shutil.copy(tokenizer / file, made / file)
        made.rename(folder)


def word_tokens(tokenizer: Path) -> set[int]:
    """Ids of the tokens that are a space and a word, if that text encodes to the token alone."""
    reader = Tokenizer.from_file(str(tokenizer))
    texts = {token: f" {name[1:]}" for name, token in reader.get_vocab().items() if WORD.fullmatch(name)}
    encodings = reader.encode_batch(list(texts.values()), add_special_tokens=False)
    return {token for token, encoding in zip(texts, encodings, strict=True) if encoding.ids == [token]}


@torch.no_grad()
def zero_logits(network: PreTrainedModel, tokens: Sequence[int]) -> None:
    """Keeps tokens from being sampled: a zero row of the tied embeddings makes the logit exactly zero.

    Zero is never among the top of many random logits. So no reply ends by chance, and no engine needs a mask.
    """
    embeddings = network.get_input_embeddings().weight
    assert isinstance(embeddings, Tensor)
    embeddings[list(tokens)] = 0.0


@torch.no_grad()
def randomise(network: PreTrainedModel) -> None:
    """Multiplies the last norm by random signs, and makes biases random.

    Without the signs the tied head would repeat the last token for ever, which favours speculative decoding. With zero
    biases, a conversion that drops them would go unnoticed.
    """
    for name, weight in network.named_parameters():
        if name == "model.norm.weight":
            weight.mul_(torch.randint(2, weight.shape) * 2 - 1)
        elif name.endswith(".bias"):
            weight.normal_(std=0.1)


if __name__ == "__main__":
    write_random_model(Path(sys.argv[1]), Path(sys.argv[2]))
