import random
from dataclasses import replace

from benchmarks.rows import Times
from benchmarks.speed import ONE_ROW, TASKS, rotated


def test_every_contender_comes_first() -> None:
    """Over as many rounds as there are contenders each has been the first once, in the order of the others."""
    assert [rotated("abc", number) for number in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]


def test_counts_what_was_written_or_read() -> None:
    """Decoding is counted in tokens after the first, over all rows; prefill in the prompt's tokens."""
    times = Times(reading=0.5, writing=2.0)
    assert ONE_ROW.speed(times) == 32.0
    assert replace(ONE_ROW, rows=8).speed(times) == 256.0
    assert replace(ONE_ROW, steps=0).speed(times) == 64.0


def test_no_prompt_comes_twice() -> None:
    """Nothing that was read before can help: prompts differ between rows and between calls."""
    noise = random.Random(0)
    prompts = [tuple(prompt) for task in TASKS for _ in range(2) for prompt in task.work(noise).prompts]
    assert len(set(prompts)) == len(prompts) == 20
