from dataclasses import replace

from benchmarks.machine import Memory
from benchmarks.report import Comparison, Spread, spread, table
from benchmarks.sides import Answer

FAST = Answer(first_token=0.5, total=2.0, prompt_tokens=40, reply_tokens=4, mood="neutral")
SLOW = replace(FAST, first_token=2.0, total=6.5)


def test_a_spread_is_the_median_and_both_ends() -> None:
    """One outlier moves an end and not the middle."""
    assert spread([3.0, 100.0, 1.0]) == Spread(middle=3.0, low=1.0, high=100.0)


def test_a_token_costs_what_came_after_the_first() -> None:
    """The seconds after the first token are those of the tokens after it; a reply of one token has none."""
    assert FAST.per_token == 0.5
    assert replace(FAST, total=0.5, reply_tokens=1).per_token == 0.0


def test_ratios_are_taken_pair_by_pair() -> None:
    """Two pairs with a ratio of four each give four, though the messages differ; memory is summed over a side."""
    compared = Comparison(
        model="tiny",
        parley=[FAST, replace(FAST, first_token=0.1)],
        naive=[SLOW, replace(SLOW, first_token=0.4)],
        parley_memory=[Memory(peak=10, share=5), Memory(peak=30, share=15)],
        naive_memory=[Memory(peak=80, share=60)],
    )
    lines = table(compared).splitlines()
    assert lines[0] == "## tiny"
    assert "| to the first token, s | **4.00 (4.00–4.00)** | 0.30 (0.10–0.50) | 1.20 (0.40–2.00) |" in lines
    assert "| peak memory, MiB | **2.00** | 40 (10 + 30) | 80 |" in lines
