"""How fast a model server decodes and reads on this machine: `python -m benchmarks.fleet.speeds MODEL THREADS`.

It prints a `Speed` as JSON, the median of some batches of random tokens.
"""

import json
import random
import sys
from collections.abc import Callable
from dataclasses import asdict
from statistics import median
from typing import Final

from benchmarks.parley_worker import batch_runner, open_model
from benchmarks.simulation.world import Speed
from benchmarks.speed import WARM_UP, Task
from benchmarks.worker import RunBatch, Times
from core.inference.batching.prefix import BLOCK_SIZE

ALONE: Final = Task(name="one row", sequences=1, prompt=256, steps=32)
TOGETHER: Final = Task(name="eight rows", sequences=8, prompt=256, steps=32)
REPEATS: Final = 5


def main(folder: str, threads: int) -> None:
    model = open_model(folder, "auto", threads)
    speed = speed_of(batch_runner(model), cache=model.network.blocks * BLOCK_SIZE)
    print(json.dumps(asdict(speed)))


def speed_of(run: RunBatch, *, cache: int) -> Speed:
    """The speed of a model, whose prefix cache holds so many tokens. All prompts are new."""
    rng = random.Random(0)
    run(WARM_UP.batch(rng))

    def measured(task: Task, seconds: Callable[[Times], float]) -> float:
        return median(seconds(run(task.batch(rng))) for _ in range(REPEATS))

    alone = measured(ALONE, lambda times: times.decode) / ALONE.steps
    together = measured(TOGETHER, lambda times: times.decode) / TOGETHER.steps
    return Speed(
        step=alone,
        row=max(0.0, together - alone) / (TOGETHER.sequences - 1),
        prompt_token=measured(ALONE, lambda times: times.prefill) / ALONE.prompt,
        cache=cache,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
