"""Plain text to ids and ids to bytes. The tokenizer in here does not know that control tokens exist."""

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
    """A byte-level BPE. `tokens` are the bytes of each plain id; `control` names the added tokens by id."""

    path: str
    tokenizer: Tokenizer
    tokens: tuple[bytes, ...]
    control: Mapping[int, str]

    def encode(self, text: str) -> list[int]:
        """The ids of text that is only text, whatever it looks like. ControlToken if that could not be held."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        if not all(map(self.is_plain, ids)):
            raise ControlToken(self.path, "plain text was encoded as a control token")
        return ids

    def is_plain(self, token: int) -> bool:
        return token < len(self.tokens) and token not in self.control

    def bytes_of(self, token: int) -> bytes:
        """What a token stands for; a control token stands for its name."""
        if self.is_plain(token):
            return self.tokens[token]
        return self.control.get(token, "").encode()


def load_vocabulary(path: Path) -> Vocabulary:
    """Reads a `tokenizer.json`. The added tokens are taken out before the tokenizer is built, so that no text, however
    written, can be encoded as one of them; `split_special_tokens` would let those through that are not marked special.
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
    """Byte-level BPE writes a byte as the Latin-1 character of its value where that can be seen, and the others, in
    order, from U+0100 on.
    """
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    unseen = sorted(set(range(0x100)) - set(seen))
    return {chr(byte): byte for byte in seen} | {chr(0x100 + n): byte for n, byte in enumerate(unseen)}
