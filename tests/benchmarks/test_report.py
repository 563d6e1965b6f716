from dataclasses import replace

from benchmarks.chatbots import Answer
from benchmarks.machine import Memory
from benchmarks.report import Comparison, table

FAST = Answer(first_token=0.5, total=2.0, prompt_tokens=40, reply_tokens=4, mood="neutral")
SLOW = replace(FAST, first_token=2.0, total=6.5)


def test_time_per_token_excludes_the_first() -> None:
    """The time per token counts from the first token on; it is zero for a reply of one token."""
    assert FAST.per_token == 0.5
    assert replace(FAST, total=0.5, reply_tokens=1).per_token == 0.0


def test_ratios_are_computed_per_pair() -> None:
    """Ratios are computed per pair of runs; memory is summed over the processes of a bot."""
    comparison = Comparison(
        model="tiny",
        parley=[FAST, replace(FAST, first_token=0.1)],
        naive=[SLOW, replace(SLOW, first_token=0.4)],
        parley_memory=[Memory(peak=10, share=5), Memory(peak=30, share=15)],
        naive_memory=[Memory(peak=80, share=60)],
    )
    lines = table(comparison).splitlines()
    assert lines[0] == "### tiny"
    assert "| time to first token, s | **4.00 (4.00–4.00)** | 0.30 (0.10–0.50) | 1.20 (0.40–2.00) |" in lines
    assert "| peak memory (VmHWM), MiB | **2.00** | 40 (10 + 30) | 80 |" in lines
