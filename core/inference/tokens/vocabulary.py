"""Tokenizer for plain text: it has no control tokens, so no text can encode to one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tokenizers import Tokenizer

from core.errors import ControlToken, ModelDamaged
from core.models import read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A byte-level BPE vocabulary. `tokens[id]` is the bytes of a plain token, `control[id]` an added name."""

    path: str
    tokenizer: Tokenizer
    tokens: tuple[bytes, ...]
    control: Mapping[int, str]

    def encode(self, text: str) -> list[int]:
        """The ids of plain text, which "<|im_end|>" is too. Raises ControlToken if one of them is a control token."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        if not all(map(self.is_plain, ids)):
            raise ControlToken(self.path, "plain text encodes to a control token")
        return ids

    def is_plain(self, token: int) -> bool:
        return token < len(self.tokens) and token not in self.control

    def bytes_of(self, token: int) -> bytes:
        """The bytes of a token; of a control token, its name."""
        if self.is_plain(token):
            return self.tokens[token]
        return self.control.get(token, "").encode()


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a `tokenizer.json`. Raises ModelDamaged if it is not a byte-level BPE tokenizer.

    The added tokens are removed before the tokenizer is built, so that no text can encode to one of them.
    transformers' `split_special_tokens` would not cover added tokens that are not marked special.
    """
    spec = dict(read_json(path))
    added = spec.get("added_tokens") or []
    tokenizer = _plain_tokenizer(path, spec)
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    try:
        control = {int(token["id"]): str(token["content"]) for token in cast("list[dict[str, str]]", added)}
        tokens = _token_bytes(vocabulary, control)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelDamaged(str(path), "it is not a byte-level BPE tokenizer") from error
    return Vocabulary(path=str(path), tokenizer=tokenizer, tokens=tokens, control=control)


def _plain_tokenizer(path: Path, spec: Mapping[str, object]) -> Tokenizer:
    plain = {**spec, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    try:
        return Tokenizer.from_buffer(json.dumps(plain).encode())
    except ValueError as error:
        raise ModelDamaged(str(path), "it is not a tokenizer") from error


def _token_bytes(vocabulary: Mapping[str, int], control: Mapping[int, str]) -> tuple[bytes, ...]:
    byte_of = _byte_of_character()
    tokens = [b""] * len(vocabulary)
    for text, token in vocabulary.items():
        tokens[token] = b"" if token in control else bytes(map(byte_of.__getitem__, text))
    return tuple(tokens)


def _byte_of_character() -> dict[str, int]:
    """The byte of each character in a byte-level BPE vocabulary (GPT-2's `bytes_to_unicode`).

    A printable Latin-1 character stands for its own byte; the other bytes are numbered from U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = sorted(set(range(0x100)) - set(printable))
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}
