import random
from dataclasses import replace

from benchmarks.speed import ENGINES, ONE_SEQUENCE, TASKS
from benchmarks.worker import Times


def test_only_measured_engines_are_compared() -> None:
    """Each engine of a pair is measured."""
    assert {engine for task in TASKS for pair in task.pairs for engine in (pair.ours, *pair.theirs)} == set(ENGINES)


def test_counts_decoded_or_prompt_tokens() -> None:
    """Decode speed counts the tokens after the first of all sequences; prefill speed counts prompt tokens."""
    times = Times(prefill=0.5, decode=2.0)
    assert ONE_SEQUENCE.speed(times) == 32.0
    assert replace(ONE_SEQUENCE, sequences=8).speed(times) == 256.0
    assert replace(ONE_SEQUENCE, steps=0).speed(times) == 64.0


def test_no_prompt_comes_twice() -> None:
    """Prompts differ between sequences and between batches, so that no cache can help."""
    rng = random.Random(0)
    prompts = [tuple(prompt) for task in TASKS for _ in range(2) for prompt in task.batch(rng).prompts]
    assert len(set(prompts)) == len(prompts) == 22
