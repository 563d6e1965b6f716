"""The tokenizer in a GGUF file, as the content of a `tokenizer.json`.

A GGUF file holds tokens and merges; how a text is split before the merges it only names. The patterns are those that
the authors of the models publish in their `tokenizer.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from core.inference.checkpoint.gguf_metadata import Metadata

Spec: TypeAlias = Mapping[str, object]
BPE: Final = "gpt2"
"""Name of byte-level BPE in `tokenizer.ggml.model`."""
NORMAL, USER_DEFINED, UNUSED = 1, 4, 5
"""Types of tokens. All others are control tokens, or stand for unknown text."""
SPECIAL_IDS: Final[Mapping[str, str]] = {
    "bos_token": "tokenizer.ggml.bos_token_id",
    "eos_token": "tokenizer.ggml.eos_token_id",
    "unk_token": "tokenizer.ggml.unknown_token_id",
    "pad_token": "tokenizer.ggml.padding_token_id",
}
EOS_IDS: Final = ("eos", "eot", "eom")
EOS_TEXTS: Final = frozenset({"<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>"})
"""Control tokens that end a reply in every family that has them. A file names one or two, where transformers' files
name all; llama.cpp goes by the texts too.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreTokenizer:
    """How a text is split before the merges. `whole_first`: a piece that is a token itself is not merged."""

    steps: tuple[Spec, ...]
    normalizer: Spec | None = None
    whole_first: bool = False


def _split(letters: str = r"\p{L}", digits: str = r"\p{N}", marks: str = "") -> Spec:
    """GPT-4's pattern, which the families vary in a few places."""
    pattern = (
        rf"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?{letters}+|{digits}"
        rf"| ?[^\s\p{{L}}{marks}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _byte_level(*, use_regex: bool) -> Spec:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


BYTES, GPT_2 = _byte_level(use_regex=False), _byte_level(use_regex=True)
DIGITS: Final[Spec] = {"type": "Digits", "individual_digits": True}
NFC: Final[Spec] = {"type": "NFC"}
_QWEN2 = PreTokenizer(steps=(_split(), BYTES), normalizer=NFC)
_QWEN35 = PreTokenizer(steps=(_split(letters=r"[\p{L}\p{M}]", marks=r"\p{M}"), BYTES), normalizer=NFC)
_GPT_4 = PreTokenizer(steps=(_split(digits=r"\p{N}{1,3}"), BYTES))
_LLAMA_3 = PreTokenizer(steps=(_split(digits=r"\p{N}{1,3}"), BYTES), whole_first=True)
_GPT_2 = PreTokenizer(steps=(GPT_2,))
_STARCODER = PreTokenizer(steps=(DIGITS, GPT_2))
PRE_TOKENIZERS: Final[Mapping[str, PreTokenizer]] = {
    "qwen2": _QWEN2,
    "qwen35": _QWEN35,
    "dbrx": _GPT_4,
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "smaug-bpe", "lfm2", "falcon3"), _LLAMA_3),
    **dict.fromkeys(("gpt-2", "olmo", "granite-docling"), _GPT_2),
    **dict.fromkeys(("smollm", "starcoder", "refact", "codeshell"), _STARCODER),
}
"""By their names in `tokenizer.ggml.pre`."""


def tokenizer_spec(metadata: Metadata) -> Spec:
    """The content of a `tokenizer.json`. Raises ModelDamaged if the file has no byte-level BPE of a known kind."""
    kind = metadata.text("tokenizer.ggml.model")
    if kind != BPE:
        raise metadata.damaged(f"its tokenizer is {kind!r}; only byte-level BPE ({BPE!r}) is supported")
    name = metadata.text("tokenizer.ggml.pre") or ""
    if name not in PRE_TOKENIZERS:
        raise metadata.damaged(f"how its tokenizer splits text ({name!r}) is not known")
    chosen = PRE_TOKENIZERS[name]
    tokens, types = _tokens(metadata)
    base = 1 + max((token for token, type_ in enumerate(types) if type_ == NORMAL), default=-1)
    return {
        "added_tokens": [
            {"id": token, "content": tokens[token], "special": type_ != USER_DEFINED}
            for token, type_ in enumerate(types)
            if type_ != NORMAL and (type_ != UNUSED or token < base)
        ],
        "normalizer": chosen.normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": chosen.steps},
        "decoder": GPT_2,
        "model": {
            "type": "BPE",
            "ignore_merges": chosen.whole_first,
            "vocab": {text: token for token, text in enumerate(tokens[:base])},
            "merges": metadata.texts("tokenizer.ggml.merges"),
        },
    }


def special_tokens(metadata: Metadata) -> Mapping[str, str]:
    """The texts of special tokens, by names such as "bos_token"."""
    tokens = metadata.texts("tokenizer.ggml.tokens")
    ids = {name: metadata.token(key) for name, key in SPECIAL_IDS.items()}
    return {name: tokens[token] for name, token in ids.items() if token is not None and token < len(tokens)}


def eos_ids(metadata: Metadata) -> list[int]:
    """The tokens that end a reply."""
    tokens, types = _tokens(metadata)
    declared = {metadata.token(f"tokenizer.ggml.{name}_token_id") for name in EOS_IDS} - {None}
    known = {token for token, text in enumerate(tokens) if text in EOS_TEXTS and types[token] != NORMAL}
    return sorted(token for token in declared | known if token is not None)


def _tokens(metadata: Metadata) -> tuple[list[str], list[int]]:
    """All tokens and their types."""
    tokens = metadata.texts("tokenizer.ggml.tokens")
    types = metadata.integers("tokenizer.ggml.token_type")
    if len(tokens) != len(types):
        raise metadata.damaged(f"its tokenizer has {len(tokens)} tokens but {len(types)} types of tokens")
    return tokens, types
