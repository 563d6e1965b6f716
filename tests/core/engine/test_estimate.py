"""The estimate of a text's tokens, against measured counts."""

import pytest

from core.engine.estimate import estimate_tokens

MEASURED = {
    "Could you tell me why my order hasn't arrived yet? I've been waiting for two weeks!": 20,
    "请问我的订单为什么还没有到？我已经等了两个星期了，真的很着急。": 17,
    "for (int i=0;i<n;++i){a[i]^=b[i]&0xff;}//x": 23,
    "Привет, как твои дела сегодня?": 11,
    "こんにちは、元気ですか。カタカナ": 10,
    "😀🎉👩‍👩‍👧‍👦🇨🇳🥺✨": 16,
}
"""Texts and their tokens according to Qwen2.5's tokenizer."""


@pytest.mark.parametrize(("text", "tokens"), MEASURED.items())
def test_the_estimate_is_on_the_high_side(text: str, tokens: int) -> None:
    """Ordinary texts have at most the estimated tokens, and at least a third of them."""
    assert tokens <= estimate_tokens(text) <= 3 * tokens


def test_an_empty_text_has_no_tokens() -> None:
    """The estimate for an empty text is 0."""
    assert estimate_tokens("") == 0
