"""Parley's rows: the scheduler and the runner of the model server, without the HTTP in front of them.

`python -m benchmarks.parley_rows MODEL THREADS DTYPE`, see `benchmarks/rows.py`.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import structlog

from benchmarks.rows import Contender, Ready, Times, Work, serve
from core.inference.batching.detokenise import TextStream
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Limits, Scheduler
from core.inference.batching.sequence import Job, Sampled, Sampling
from core.inference.batching.sequence import Sequence as Row
from core.inference.loader import LoadedModel, LoadOptions, load_model
from core.inference.weights.precision import Precision

MAX_CONTEXT = 4096
CACHE = Path(".cache/benchmarks")


def main(folder: str, threads: int, dtype: str) -> None:
    model = open_model(folder, dtype, threads)
    facts = f"{model.facts['dtype']}, {model.facts['path']}"
    serve(Ready(version=f"{version('parley')} ({facts})", weight_bytes=model.network.weight_bytes), contender(model))


def open_model(folder: str, dtype: str, threads: int) -> LoadedModel:
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    return load_model(folder, CACHE, LoadOptions(precision=Precision(dtype), max_context=MAX_CONTEXT, threads=threads))


def contender(model: LoadedModel) -> Contender:
    """Batches as the server makes them. The tokens that are written are noise of our own instead of the model's choice:
    nobody can guess ahead, and every row stays as long as it is told.
    """
    runner = Runner(model.network, model.allowed)
    noise = random.Random(0)
    plain = len(model.vocabulary.tokens)

    def take(row: Row, _: Sampled) -> None:
        row.append(Sampled(id=noise.randrange(plain)), b"")

    def run(work: Work) -> Times:
        cache = PrefixCache(model.network.blocks, reuse=False)
        scheduler, rows = Scheduler(Limits(max_batch=len(work.prompts)), cache), list(_rows(work.prompts))
        for row in rows:
            scheduler.add(row)
        begun = time.perf_counter()
        while not all(row.completion_tokens for row in rows):
            step(scheduler, runner, take)
        read = time.perf_counter()
        for _ in range(work.steps):
            step(scheduler, runner, take)
        written = time.perf_counter()
        for row in rows:
            scheduler.remove(row)
        step(scheduler, runner, take)
        return Times(reading=read - begun, writing=written - read)

    return run


def step(scheduler: Scheduler, runner: Runner, take: Callable[[Row, Sampled], None]) -> None:
    """One step as the server's loop makes it; `take` gets each row's next token."""
    planned = scheduler.schedule()
    for chunk, tokens in zip(planned.chunks, runner.run(planned), strict=True):
        scheduler.computed(chunk)
        for sampled in tokens:
            take(chunk.sequence, sampled)


def _rows(prompts: Sequence[Sequence[int]]) -> Iterator[Row]:
    for number, prompt in enumerate(prompts):
        job = Job(
            id=str(number),
            user=str(number),
            prompt=tuple(prompt),
            max_tokens=MAX_CONTEXT // 2,
            sampling=Sampling(),
            seed=0,
        )
        yield Row(job=job, text=TextStream())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
