"""A model of Qwen2.5-0.5B-Instruct's exact shape with random weights: `python -m benchmarks.shape FOLDER TOKENIZER`.

It is as fast and as large as the real one, and what it says is noise. The noise is made of words, so that a reply which
comes back as history is read as the tokens that were written, as those of a real model are.
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
GENERATION = {
    "bos_token_id": START_OF_TEXT,
    "pad_token_id": START_OF_TEXT,
    "eos_token_id": [END_OF_MESSAGE, START_OF_TEXT],
    "do_sample": True,
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": 20,
    "repetition_penalty": 1.1,
}


def write_shape(folder: Path, tokenizer: Path) -> None:
    """Writes the model, with the tokenizer of a folder. The model's folder is there only once it is complete."""
    transformers_logging.disable_progress_bar()
    torch.manual_seed(0)
    network = Qwen2ForCausalLM(SHAPE).to(torch.bfloat16)
    mute(network, sorted(set(range(SHAPE.vocab_size)) - words(tokenizer / TOKENIZER_FILES[0])))
    scatter(network)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        made = Path(name) / "model"
        network.save_pretrained(made)
        (made / "generation_config.json").write_text(json.dumps(GENERATION, indent=2), "utf-8")
        for file in TOKENIZER_FILES:
            shutil.copy(tokenizer / file, made / file)
        made.rename(folder)


def words(tokenizer: Path) -> set[int]:
    """The tokens that are a space and a word, and that such a text is read as."""
    reader = Tokenizer.from_file(str(tokenizer))
    found = {token: f" {name[1:]}" for name, token in reader.get_vocab().items() if WORD.fullmatch(name)}
    read = reader.encode_batch(list(found.values()), add_special_tokens=False)
    return {token for token, encoded in zip(found, read, strict=True) if encoded.ids == [token]}


@torch.no_grad()
def mute(network: PreTrainedModel, tokens: Sequence[int]) -> None:
    """Takes tokens out of reach of noise: a zero row in the tied embeddings is a logit of exactly zero, which is never
    among the likeliest of many random ones. So no reply ends by chance, and nobody has to mask anything.
    """
    network.get_input_embeddings().weight[list(tokens)] = 0.0


@torch.no_grad()
def scatter(network: PreTrainedModel) -> None:
    """Random signs before the head. Tied to the embeddings, it would find what was just read the likeliest, and repeat
    one word for ever: a gift to whoever guesses ahead. And biases that are not zero: a conversion that lost them shows.
    """
    for name, weight in network.named_parameters():
        if name == "model.norm.weight":
            weight.mul_(torch.randint(2, weight.shape) * 2 - 1)
        elif name.endswith(".bias"):
            weight.normal_(std=0.1)


if __name__ == "__main__":
    write_shape(Path(sys.argv[1]), Path(sys.argv[2]))
