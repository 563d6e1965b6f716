"""Benchmark worker of Parley: the model server's scheduler and runner without HTTP.

`python -m benchmarks.parley_worker MODEL THREADS DTYPE`, see `benchmarks/worker.py`.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version

import structlog

from benchmarks.processes import data_dir
from benchmarks.worker import Batch, Ready, RunBatch, Times, serve
from config.settings import EngineSettings
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Limits, Scheduler
from core.inference.batching.sequence import Job, Sampled, Sampling
from core.inference.batching.sequence import Sequence as Row
from core.inference.lean import LoadOptions
from core.inference.loader import LoadedModel, load_model
from core.inference.weights.precision import KvPrecision, Precision

MAX_CONTEXT = 4096


def main(folder: str, threads: int, dtype: str) -> None:
    model = open_model(folder, dtype, threads)
    facts = f"{model.facts['dtype']}, {model.facts['path']}"
    ready = Ready(version=f"{version('parley')} ({facts})", weight_bytes=model.network.weight_bytes)
    serve(ready, Batch, batch_runner(model))


def open_model(folder: str, dtype: str, threads: int) -> LoadedModel:
    """Loads a model as the server does, with logs on standard error."""
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    options = LoadOptions(
        precision=Precision(dtype),
        kv_precision=KvPrecision.AUTO,
        max_context=MAX_CONTEXT,
        cache_bytes=EngineSettings().cache_bytes,
        threads=threads,
    )
    return load_model(folder, data_dir(dtype), options)


def batch_runner(model: LoadedModel) -> RunBatch:
    """Runs batches as the server does, but with random tokens in place of the sampled ones.

    So speculative tokens are never accepted, and no sequence ends early.
    """
    runner = Runner(model.network, model.allowed)
    rng = random.Random(0)
    vocabulary = len(model.vocabulary.tokens)

    def take(row: Row, _: Sampled) -> None:
        row.append(Sampled(id=rng.randrange(vocabulary)), b"")

    def run(batch: Batch) -> Times:
        cache = PrefixCache(model.network.blocks, reuse=False)
        scheduler, rows = Scheduler(Limits(max_batch=len(batch.prompts)), cache), list(_rows(batch.prompts))
        for row in rows:
            scheduler.add(row)
        begun = time.perf_counter()
        while not all(row.completion_tokens for row in rows):
            step(scheduler, runner, take)
        prefilled = time.perf_counter()
        for _ in range(batch.steps):
            step(scheduler, runner, take)
        decoded = time.perf_counter()
        for row in rows:
            scheduler.remove(row)
        step(scheduler, runner, take)
        return Times(prefill=prefilled - begun, decode=decoded - prefilled)

    return run


def step(scheduler: Scheduler, runner: Runner, take: Callable[[Row, Sampled], None]) -> None:
    """One step of the server's loop; calls `take` with the next token of each sequence."""
    planned = scheduler.schedule()
    for chunk, tokens in zip(planned.chunks, runner.run(planned), strict=True):
        assert not isinstance(tokens, str), "the model computes numbers"
        scheduler.mark_computed(chunk)
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
        yield Row(job=job)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
