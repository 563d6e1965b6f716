from pathlib import Path

import pytest

from benchmarks.chatbots import naive
from benchmarks.machine import PROC
from benchmarks.message import compare
from benchmarks.report import table
from tests.core.inference.tiny import write_tiny_model

TOKENS = 6
pytestmark = [pytest.mark.long, pytest.mark.skipif(not PROC.exists(), reason="memory is read from /proc")]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path, max_length=2048)


def test_both_bots_do_the_same_work(model: Path) -> None:
    """Both bots answer two messages with equally long prompts and replies, each in its own processes."""
    comparison = compare("tiny", model, runs=2, tokens=TOKENS, threads=1)
    for ours, theirs in zip(comparison.parley, comparison.naive, strict=True):
        assert (ours.prompt_tokens, ours.reply_tokens) == (theirs.prompt_tokens, theirs.reply_tokens)
        assert 0 < ours.first_token < ours.total
        assert 0 < theirs.first_token < theirs.total
    assert [len(comparison.parley_memory), len(comparison.naive_memory)] == [2, 1]
    assert "2 measured runs" in table(comparison)


def test_the_naive_bot_replies_at_the_given_length(model: Path) -> None:
    """A reply has exactly the requested number of tokens, whatever the model would choose."""
    with naive(str(model), threads=1) as bot:
        assert bot.ask('{"text": "hello", "mood": "positive", "tokens": 3}').reply_tokens == 3
