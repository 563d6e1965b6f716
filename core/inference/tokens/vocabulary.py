"""Tokenizer for plain text: it has no control tokens, so no text can encode to one."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TypeAlias, cast

from tokenizers import AddedToken, Tokenizer

from core.errors import ControlToken, ModelDamaged

Part: TypeAlias = int | str
"""A control token by its id, or plain text."""
BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
"""Name of a token for a single byte, in vocabularies with byte fallback."""
SPACE = "\u2581"
"""Stands for a space in vocabularies with byte fallback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A BPE vocabulary that can express every byte. `tokens[id]` is the bytes of a plain token, `control[id]` the name
    of a control token.
    """

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

    def encode_parts(self, parts: Iterable[Part]) -> list[int]:
        """The ids of parts. Texts between two control tokens are joined, as in training: tokens may span their seam."""
        ids: list[int] = []
        for kind, group in groupby(parts, type):
            run = list(group)
            ids += self.encode("".join(cast("list[str]", run))) if kind is str else cast("list[int]", run)
        return ids

    def split(self, text: str) -> list[Part]:
        """The parts of a text whose control tokens count. It must come from the model's files, never from a person."""
        ids = {name: token for token, name in self.control.items() if name and name in text}
        if not ids:
            return [text] if text else []
        names = sorted(ids, key=len, reverse=True)
        pieces = re.split(f"({'|'.join(map(re.escape, names))})", text)
        return [ids.get(piece, piece) for piece in pieces if piece]

    def is_plain(self, token: int) -> bool:
        return token < len(self.tokens) and token not in self.control

    def bytes_of(self, token: int) -> bytes:
        """The bytes of a token; of a control token, its name."""
        if self.is_plain(token):
            return self.tokens[token]
        return self.control.get(token, "").encode()


def load_vocabulary(spec: Mapping[str, object], path: str) -> Vocabulary:
    """The vocabulary of a `tokenizer.json`. Raises ModelDamaged if it is not BPE with a token for each byte.

    The added tokens are removed before the tokenizer is built, so that no text can encode to one of them.
    transformers' `split_special_tokens` would not cover added tokens that are not marked special.
    """
    tokenizer = _plain_tokenizer(path, spec)
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    try:
        control, plain = _split_added(tokenizer, cast("list[dict[str, object]]", spec.get("added_tokens") or []))
        bytes_of = _bytes_with_fallback if _has_byte_fallback(spec) else _bytes_of_characters
        tokens = [b""] * len(vocabulary)
        for text, token in vocabulary.items():
            tokens[token] = b"" if token in control else bytes_of(text)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ModelDamaged(path, "it is neither a byte-level BPE tokenizer nor one with byte fallback") from error
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in plain])
    return Vocabulary(path=path, tokenizer=tokenizer, tokens=tuple(tokens), control=control)


def _plain_tokenizer(path: str, spec: Mapping[str, object]) -> Tokenizer:
    plain = {**spec, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    try:
        return Tokenizer.from_buffer(json.dumps(plain).encode())
    except ValueError as error:
        raise ModelDamaged(path, "it is not a tokenizer") from error


def _split_added(tokenizer: Tokenizer, added: list[dict[str, object]]) -> tuple[dict[int, str], list[str]]:
    """The control tokens, and the added tokens that are plain text: those that the tokenizer writes without knowing
    them, such as Gemma's runs of line breaks.
    """
    control, plain = {}, []
    for entry in added:
        token, name = int(cast("int", entry["id"])), str(entry["content"])
        if entry.get("special", True) or tokenizer.encode(name, add_special_tokens=False).ids != [token]:
            control[token] = name
        else:
            plain.append(name)
    return control, plain


def _has_byte_fallback(spec: Mapping[str, object]) -> bool:
    model = spec.get("model")
    return isinstance(model, dict) and bool(model.get("byte_fallback"))


def _bytes_with_fallback(text: str) -> bytes:
    """The bytes of a token in a vocabulary with byte fallback, as in SentencePiece."""
    byte = BYTE_TOKEN.fullmatch(text)
    return bytes([int(byte[1], 16)]) if byte else text.replace(SPACE, " ").encode()


def _bytes_of_characters(text: str) -> bytes:
    """The bytes of a token in a byte-level vocabulary."""
    return bytes(map(BYTE_OF_CHARACTER.__getitem__, text))


def _byte_of_character() -> dict[str, int]:
    """The byte of each character in a byte-level BPE vocabulary (GPT-2's `bytes_to_unicode`).

    A printable Latin-1 character stands for its own byte; the other bytes are numbered from U+0100.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = sorted(set(range(0x100)) - set(printable))
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


BYTE_OF_CHARACTER = _byte_of_character()
