import random
from dataclasses import replace

from benchmarks.engines import Engine
from benchmarks.rounds import Measured
from benchmarks.speed import ENGINES, ONE_SEQUENCE, TASKS, Speeds, bandwidth_figures
from benchmarks.worker import Ready, Times


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


def test_the_best_pass_of_a_round_is_the_limit() -> None:
    """Both precisions are compared with the best read bandwidth of the round: noise only slows a pass down."""
    measured = {
        engine: Measured(
            values=[
                Speeds(
                    ready=Ready(version="1", weight_bytes=10**9), tasks={ONE_SEQUENCE.name: 30.0}, bandwidth=bandwidth
                )
            ]
        )
        for engine, bandwidth in ((Engine.INT4, 40e9), (Engine.INT8, 60e9))
    }
    found = list(bandwidth_figures(measured))
    assert [list(figure.theirs) for figure in found] == [[60.0], [60.0]]
    assert [figure.ratio.median for figure in found if figure.ratio] == [0.5, 0.5]
