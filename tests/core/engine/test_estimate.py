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
"""Texts and what Qwen2.5's tokenizer makes of them."""


@pytest.mark.parametrize(("text", "tokens"), MEASURED.items())
def test_the_estimate_is_on_the_high_side(text: str, tokens: int) -> None:
    """Ordinary texts cost no more than estimated, and no less than a third of it."""
    assert tokens <= estimate_tokens(text) <= 3 * tokens


def test_nothing_costs_nothing() -> None:
    """An empty text has no tokens."""
    assert estimate_tokens("") == 0
