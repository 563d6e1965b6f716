"""What a GGUF file says of itself: configuration, tokenizer and template; and what it may not say."""

import json
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from core.errors import ModelDamaged
from core.inference.arrays import Floats
from core.inference.checkpoint.gguf_file import open_gguf
from core.inference.loader import LoadedModel, load_model
from core.inference.tokens.vocabulary import load_vocabulary
from core.inference.weights.precision import Precision
from tests.core.inference.checkpoint.gguf_writer import tokenizer_metadata, write_gguf
from tests.core.inference.options import load_options
from tests.core.inference.rows import logits


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def load(file: Path) -> LoadedModel:
    return load_model(str(file), file.parent, load_options(precision=Precision.FP32))


def test_the_tokenizer_is_that_of_the_tokenizer_file(qwen: Path, tiny_folder: Path, file: Path) -> None:
    """All published vectors encode to Qwen's ids, and tokens and control tokens are those of its tokenizer.json."""
    tokenizer = tokenizer_metadata(qwen, vocabulary_size=151_936) | {"tokenizer.ggml.pre": "qwen2"}
    found = load_vocabulary(open_gguf(write_gguf(tiny_folder, file, metadata=tokenizer)).tokenizer, "gguf")
    expected = load_vocabulary(json.loads((qwen / "tokenizer.json").read_text()), "json")
    for vector in json.loads((qwen / "vectors.json").read_text()):
        assert found.encode(vector["text"]) == vector["ids"]
    assert found.tokens == expected.tokens
    assert found.control == expected.control


@pytest.mark.parametrize(
    ("name", "text", "pieces"),
    [
        ("qwen2", "It's 123\n\n é", ["It", "'s", " ", "1", "2", "3", "\n\n", " é"]),
        ("qwen2", "कि", ["क", "ि"]),
        ("qwen35", "कि 12", ["कि", " ", "1", "2"]),
        ("llama-bpe", "It's 12345", ["It", "'s", " ", "123", "45"]),
        ("dbrx", "12345", ["123", "45"]),
        ("gpt-2", "It's 12345", ["It", "'s", " 12345"]),
        ("smollm", "a 123", ["a", " ", "1", "2", "3"]),
    ],
)
def test_a_text_is_split_as_in_the_family(
    tiny_folder: Path, file: Path, name: str, text: str, pieces: list[str]
) -> None:
    """The pieces of a text, which no token crosses, are those of the family's own tokenizer."""
    spec = open_gguf(write_gguf(tiny_folder, file, metadata={"tokenizer.ggml.pre": name})).tokenizer
    tokenizer = Tokenizer.from_str(json.dumps({**spec, "added_tokens": []}))
    assert [text[slice(*span)] for _, span in tokenizer.pre_tokenizer.pre_tokenize_str(text)] == pieces


def test_control_tokens_between_plain_ones_stay_control_tokens(tiny_folder: Path, file: Path) -> None:
    """A control token that precedes the plain ones (SmolLM), and an unused one among them, are not plain text."""
    types = [3, 5] + [1] * 298 + [3] * 4 + [5] * 12
    found = load(write_gguf(tiny_folder, file, metadata={"tokenizer.ggml.token_type": types}))
    assert {0, 1} < found.vocabulary.control.keys()
    assert not found.allowed[:2].any()
    assert found.allowed[2:100].all()


def test_the_template_is_that_of_the_file(tiny_folder: Path, file: Path) -> None:
    """Template and special tokens come from the metadata, and a file without a template has none."""
    found = open_gguf(write_gguf(tiny_folder, file))
    assert found.chat_template == json.loads((tiny_folder / "tokenizer_config.json").read_text())["chat_template"]
    assert found.special_tokens == {"bos_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    assert open_gguf(write_gguf(tiny_folder, file, metadata={"tokenizer.chat_template": None})).chat_template is None


def test_every_token_that_ends_a_reply_is_known(tiny_folder: Path, file: Path) -> None:
    """The end of a turn ends a reply too if the file names it, and so do control tokens that always mean an end."""
    found = load(write_gguf(tiny_folder, file, metadata={"tokenizer.ggml.eot_token_id": 303}))
    ends = {found.vocabulary.control[token] for token in found.eos_ids}
    assert ends == {"<|endoftext|>", "<|im_end|>", "<tool_call>"}


def test_the_scaling_of_llama_3_is_told_from_its_factors(tiny_folder: Path, file: Path) -> None:
    """Llama 3's rotary embedding is stored as factors; they give the parameters back. Other factors are refused."""
    theta = {"qwen2.rope.freq_base": 500_000.0}
    lengths = 2 * np.pi * 500_000.0 ** (np.arange(0, 16, 2) / 16)
    share = np.clip((8192 / lengths - 1) / 3, 0, 1)
    factors = np.asarray(1 / ((1 - share) / 32 + share), np.float32)
    written = write_gguf(tiny_folder, file, metadata=theta, tensors={"rope_freqs.weight": factors})
    assert open_gguf(written).config["rope_parameters"] == {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    with pytest.raises(ModelDamaged, match="scaled in an unknown way"):
        open_gguf(write_gguf(tiny_folder, file, metadata=theta, tensors={"rope_freqs.weight": factors * 2}))


def test_other_scalings_run_on_transformers(tiny_folder: Path, file: Path) -> None:
    """A linear scaling of the rotary embedding is read; the lean decoder leaves it to transformers."""
    scaling = {"qwen2.rope.scaling.type": "linear", "qwen2.rope.scaling.factor": 2.0}
    found = load(write_gguf(tiny_folder, file, metadata=scaling))
    assert found.network.path == "transformers"
    assert not np.allclose(logits(found, [5, 6, 7]), logits(load(write_gguf(tiny_folder, file)), [5, 6, 7]))


ZEROS = np.zeros((64, 64), np.float32)
ONES = np.ones(64, np.float32)
HUGE = 1 << 31
REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "another architecture": ({"general.architecture": "gemma3"}, "its architecture, 'gemma3', is not supported"),
    "no architecture": ({"general.architecture": 5}, "architecture is not a text"),
    "one of several files": ({"split.count": 3}, "one of 3 parts"),
    "experts": ({"qwen2.expert_count": 8}, "expert_count is not supported"),
    "a sliding window": ({"qwen2.attention.sliding_window": 4}, "sliding_window is not supported"),
    "no layers": ({"qwen2.block_count": None}, "block_count is missing"),
    "too many layers": ({"qwen2.block_count": HUGE}, "the weights of 2 layers, not of 2147483648"),
    "too few layers": ({"qwen2.block_count": 1}, "the weights of 2 layers, not of 1"),
    "too many heads": ({"qwen2.attention.head_count": HUGE}, "attn_q is"),
    "key heads of too many layers": ({"qwen2.attention.head_count_kv": [2, 2, 2]}, "not a list of 2 sizes"),
    "no key heads": ({"qwen2.attention.head_count_kv": [-1, 0]}, "not a list of 2 sizes"),
    "too many key heads": ({"qwen2.attention.head_count_kv": HUGE}, "attn_k is"),
    "wide heads": ({"qwen2.attention.key_length": HUGE}, "attn_q is"),
    "a wide network": ({"qwen2.embedding_length": HUGE}, "token_embd is"),
    "a wide MLP": ({"qwen2.feed_forward_length": HUGE}, "ffn_up is"),
    "no epsilon": ({"qwen2.attention.layer_norm_rms_epsilon": None}, "layer_norm_rms_epsilon is missing"),
    "a partial rotary embedding": ({"qwen2.rope.dimension_count": 8}, "covers 8 of 16 dimensions"),
    "an unknown rotary embedding": ({"qwen2.rope.scaling.type": "longrope"}, "scaled in an unknown way"),
    "a text for a size": ({"qwen2.block_count": "two"}, "block_count is not a positive integer"),
    "a fraction for a size": ({"qwen2.block_count": 2.0}, "block_count is not a positive integer"),
    "a text for a number": ({"qwen2.rope.freq_base": "x"}, "freq_base is not a number"),
    "a number for a text": ({"tokenizer.chat_template": 5}, "chat_template is not a text"),
    "no tokenizer": ({"tokenizer.ggml.model": None}, "its tokenizer is None"),
    "another tokenizer": ({"tokenizer.ggml.model": "llama"}, "only byte-level BPE"),
    "unknown splitting": ({"tokenizer.ggml.pre": "tekken"}, r"splits text \('tekken'\) is not known"),
    "default splitting": ({"tokenizer.ggml.pre": None}, "splits text .* is not known"),
    "no tokens": ({"tokenizer.ggml.tokens": None}, "tokens is missing"),
    "no types of tokens": ({"tokenizer.ggml.token_type": None}, "token_type is missing"),
    "no merges": ({"tokenizer.ggml.merges": None}, "merges is missing"),
    "fewer types than tokens": ({"tokenizer.ggml.token_type": [1, 1]}, "316 tokens but 2 types"),
    "impossible merges": ({"tokenizer.ggml.merges": ["no such"]}, "it is not a tokenizer"),
    "merges that are none": ({"tokenizer.ggml.merges": ["x"]}, "it is not a tokenizer"),
    "tokens that are not bytes": (
        {"tokenizer.ggml.tokens": ["a b"] * 316, "tokenizer.ggml.merges": ["a b"]},
        "tokenizer",
    ),
    "a negative token": ({"tokenizer.ggml.eos_token_id": 1.5}, "eos_token_id is not a token"),
    "an EOS beyond the network": ({"tokenizer.ggml.eos_token_id": 9999}, "ids beyond the vocabulary"),
    "another template": ({"tokenizer.chat_template": "[INST] {{ messages[0].content }}"}, "template"),
}


@pytest.mark.parametrize("lie", REFUSED)
def test_a_file_that_cannot_be_run_is_refused(tiny_folder: Path, file: Path, lie: str) -> None:
    """What is missing, absurd or unknown in the metadata raises ModelDamaged with its reason, in one line."""
    metadata, reason = REFUSED[lie]
    write_gguf(tiny_folder, file, metadata=metadata)
    with pytest.raises(ModelDamaged, match=reason) as error:
        load(file)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "tensor", "reason"),
    [
        ("token_embd.weight", None, "token_embd is missing"),
        ("output_norm.weight", None, "model.norm.weight is missing"),
        ("blk.1.ffn_down.weight", None, "mlp.down_proj.weight is missing"),
        ("blk.1.ffn_down.weight", ZEROS, r"has shape \[64, 64\], not \[64, 128\]"),
        ("blk.2.ffn_down.weight", ZEROS, "the weights of 3 layers, not of 2"),
        ("blk.0.attn_sinks.weight", ZEROS, "'blk.0.attn_sinks.weight' is of no known use"),
        ("blk.0.post_attention_norm.weight", ONES, "'blk.0.post_attention_norm.weight' is of no known use in qwen2"),
        ("v.patch_embd.weight", ZEROS, "'v.patch_embd.weight' is of no known use"),
    ],
)
def test_weights_that_do_not_fit_are_refused(
    tiny_folder: Path, file: Path, name: str, tensor: Floats | None, reason: str
) -> None:
    """Missing weights, weights of another shape and weights that no network uses raise ModelDamaged."""
    write_gguf(tiny_folder, file, tensors={name: tensor})
    with pytest.raises(ModelDamaged, match=reason):
        load(file)
