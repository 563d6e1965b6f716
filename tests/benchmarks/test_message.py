from pathlib import Path

import pytest

from benchmarks.machine import PROC
from benchmarks.message import compare
from benchmarks.report import table
from benchmarks.sides import naive
from tests.core.inference.tiny import write_tiny_model

TOKENS = 6
pytestmark = [pytest.mark.long, pytest.mark.skipif(not PROC.exists(), reason="memory is read from /proc")]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path, max_length=2048)


def test_both_bots_do_the_same_work(model: Path) -> None:
    """Two messages reach both, through processes of their own, with equal prompts and equally long replies."""
    compared = compare("tiny", model, runs=2, tokens=TOKENS, threads=1)
    for ours, theirs in zip(compared.parley, compared.naive, strict=True):
        assert (ours.prompt_tokens, ours.reply_tokens) == (theirs.prompt_tokens, theirs.reply_tokens)
        assert 0 < ours.first_token < ours.total
        assert 0 < theirs.first_token < theirs.total
    assert [len(compared.parley_memory), len(compared.naive_memory)] == [2, 1]
    assert "2 counted runs" in table(compared)


def test_the_naive_bot_writes_as_much_as_it_is_told(model: Path) -> None:
    """A reply has the asked number of tokens, though the model would go on or end before."""
    with naive(str(model), threads=1) as bot:
        assert bot.ask('{"text": "hello", "mood": "positive", "tokens": 3}').reply_tokens == 3
