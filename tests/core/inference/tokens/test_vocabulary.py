"""Vocabularies: exact bytes, and which added tokens are control tokens."""

import json

import pytest

from core.errors import ModelDamaged
from core.inference.tokens.vocabulary import load_vocabulary
from tests.core.inference.tokens.families import FAMILIES, tokenizer, vocabulary

TEXTS = ("the cat sat\n\n\non  the mat ", "你好 🤗 ½ e\u0301\u00a0\t", "<0x41> <unk> <|im_start|><bos>")


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("text", TEXTS)
def test_every_text_has_its_bytes_back(name: str, text: str) -> None:
    """The bytes of a text's ids are its own, with byte-level tokens and with byte fallback; none is a control token."""
    ids = vocabulary(name).encode(text)
    assert b"".join(map(vocabulary(name).bytes_of, ids)).decode() == text
    assert not vocabulary(name).control.keys() & set(ids)


def test_a_space_and_its_sign_are_the_same_with_byte_fallback() -> None:
    """SentencePiece writes a space as U+2581, so that a text with this character gets a space instead."""
    found = vocabulary("gemma3")
    assert b"".join(map(found.bytes_of, found.encode("▁ is a character"))).decode() == "  is a character"


def test_added_tokens_that_are_plain_text_stay_text() -> None:
    """Gemma's run of line breaks is an added token and text; a control token is one that plain text cannot give."""
    found = vocabulary("gemma3")
    line_breaks = tokenizer("gemma3").token_to_id("\n\n")
    assert line_breaks in found.encode("one\n\ntwo")
    assert line_breaks not in found.control
    assert {"<table>", "<bos>"} <= set(found.control.values())


def test_thinking_is_a_control_token() -> None:
    """`<think>` is not marked special, and is a control token all the same: it is never sampled."""
    assert {"<think>", "</think>"} <= set(vocabulary("qwen3").control.values())


def test_parts_are_joined_between_control_tokens() -> None:
    """Texts between two control tokens are encoded as one, so that a token may span their seam."""
    found = vocabulary("smollm2")
    start = next(iter(found.control))
    joined = [start, *found.encode("the cat"), start]
    assert found.encode_parts([start, "th", "e cat", start]) == joined
    assert joined != [start, *found.encode("th"), *found.encode("e cat"), start]


def test_the_control_tokens_of_a_template_are_found() -> None:
    """A text from a model's files is split at its control tokens; the longer of two names counts."""
    found = vocabulary("qwen3")
    ids = {name: token for token, name in found.control.items()}
    text = "<|im_start|>a\n<think><|im_end|>"
    assert found.split(text) == [ids["<|im_start|>"], "a\n", ids["<think>"], ids["<|im_end|>"]]
    assert (found.split("plain"), found.split("")) == (["plain"], [])


def test_a_vocabulary_without_bytes_is_refused() -> None:
    """A tokenizer whose tokens have no exact bytes raises ModelDamaged."""
    model = {"type": "WordLevel", "vocab": {"hello": 0, "<unk> 你": 1}, "unk_token": "hello"}
    spec = {**json.loads(tokenizer("smollm2").to_str()), "model": model, "added_tokens": []}
    with pytest.raises(ModelDamaged, match="byte-level"):
        load_vocabulary(spec, "x")
