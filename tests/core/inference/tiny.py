"""A Qwen2.5-like model with random weights, a few hundred kilobytes, for tests."""

import json
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import Qwen2Config, Qwen2ForCausalLM

from core.inference.weights.shape import Shape, lean_shape

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>")
CORPUS = [
    "the cat sat on the mat and the dog sat on the log",
    "你好，今天天气很好。今天你好吗？",
    "hello hello world",
] * 4
TEMPLATE = (
    "{%- for message in messages %}{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>'"
    " + '\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def write_tiny_model(folder: Path, *, max_length: int = 256) -> Path:
    """Write a model of two layers, 64 wide. As in Qwen's, the control tokens follow the base vocabulary, with one that
    is not marked special, and padding rows follow the control tokens.
    """
    tokenizer = _tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = {name: tokenizer.token_to_id(name) for name in CONTROL}
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=tokenizer.get_vocab_size() + 12,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=max_length,
        initializer_range=0.3,
        tie_word_embeddings=True,
        bos_token_id=ids["<|endoftext|>"],
        eos_token_id=ids["<|im_end|>"],
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    generation = {"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]], "do_sample": False}
    (folder / "generation_config.json").write_text(json.dumps(generation))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": None, "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def shape_of(folder: Path) -> Shape:
    """The shape of a model that the lean decoder runs."""
    shape = lean_shape(json.loads((folder / "config.json").read_text()))
    assert shape
    return shape


def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_tokens([AddedToken(name, special=name != "<tool_call>", normalized=False) for name in CONTROL])
    return tokenizer
