"""Decode and prefill speed compared with other engines, and decoding compared with the read bandwidth."""

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from statistics import median

from benchmarks.bandwidth import read_bandwidth
from benchmarks.engines import PRECISIONS, Engine, speed_worker
from benchmarks.figures import Figure, Unavailable
from benchmarks.pairs import Pair, Workload, figures, pairs
from benchmarks.processes import CACHE
from benchmarks.rig import Rig
from benchmarks.rounds import Measured, take_turns
from benchmarks.worker import Batch, Ready, Times
from benchmarks.workers import Worker, open_worker

REPEATS = 3
"""Batches per task and round; their median counts."""
TEXT_TOKENS = 100_000
"""Token ids below this are plain text in every vocabulary of the family."""
BANDWIDTH = "memory read bandwidth"
BANDWIDTH_TARGETS = {Engine.INT8: 0.8, Engine.INT4: 0.75}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A kind of batch: its sequences, the prompt tokens of each, and the decode steps, 0 to measure prefill."""

    name: str
    sequences: int
    prompt: int
    steps: int
    pairs: Sequence[Pair] = ()

    def batch(self, rng: random.Random) -> Batch:
        """A batch with new random prompts, so that no cache can help."""
        prompts = [[rng.randrange(TEXT_TOKENS) for _ in range(self.prompt)] for _ in range(self.sequences)]
        return Batch(prompts=prompts, steps=self.steps)

    def speed(self, times: Times) -> float:
        """Tokens per second: those decoded after the first, or those of the prompts if there are no steps."""
        if self.steps:
            return self.sequences * self.steps / times.decode
        return self.sequences * self.prompt / times.prefill


ONE_SEQUENCE = Task(
    name="decode, one sequence",
    sequences=1,
    prompt=32,
    steps=64,
    pairs=[
        *pairs(Engine.INT4, Q4_0=1.25, Q4_K_M=2.2, OPENVINO=None, ONNXRUNTIME=None),
        *pairs(Engine.INT8, Q8_0=1.25, CTRANSLATE2=None),
    ],
)
EIGHT_SEQUENCES = Task(
    name="decode, 8 sequences, total",
    sequences=8,
    prompt=32,
    steps=32,
    pairs=[
        Pair(ours=Engine.INT4, theirs=(Engine.Q4_0, Engine.Q4_K_M), target=3.0),
        *pairs(Engine.INT4, Q4_0=None, Q4_K_M=None, OPENVINO=None, ONNXRUNTIME=None),
        *pairs(Engine.INT8, Q8_0=1.5, CTRANSLATE2=None),
    ],
)
PREFILL_PAIRS = [
    *pairs(Engine.INT4, Q4_0=1.5, Q4_K_M=None, CTRANSLATE2=1.1, OPENVINO=None, ONNXRUNTIME=None),
    *pairs(Engine.INT8, Q4_0=1.5, Q8_0=1.3, CTRANSLATE2=1.1),
]
TASKS = (
    ONE_SEQUENCE,
    EIGHT_SEQUENCES,
    Task(name="prefill, 256 tokens", sequences=1, prompt=256, steps=0, pairs=PREFILL_PAIRS),
    Task(name="prefill, 512 tokens", sequences=1, prompt=512, steps=0, pairs=PREFILL_PAIRS),
)
WARM_UP = Task(name="warm-up", sequences=8, prompt=16, steps=4)
ENGINES = (
    Engine.INT4,
    Engine.INT8,
    Engine.Q4_0,
    Engine.Q4_K_M,
    Engine.Q8_0,
    Engine.CTRANSLATE2,
    Engine.OPENVINO,
    Engine.ONNXRUNTIME,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """One engine's tokens per second in one round, by the task's name.

    `bandwidth` is the memory's at that time in bytes per second, 0 if it is unknown.
    """

    ready: Ready
    tasks: Mapping[str, float]
    bandwidth: float


def measure(rig: Rig) -> list[Figure]:
    """Figures of all tasks."""
    measured = take_turns(ENGINES, rig.rounds, lambda engine, number: _speeds(rig, engine, random.Random(number)))
    versions = {engine: own.values[0].ready.version.split()[0] for engine, own in measured.items() if own.values}
    found: list[Figure] = []
    for task in TASKS:
        workload = Workload(name=task.name, unit="tokens/s", more_is_better=True, digits=1)
        found += figures(workload, task.pairs, measured, partial(_speed_of, task), versions)
    return [*found, *bandwidth_figures(measured)]


def _speeds(rig: Rig, engine: Engine, rng: random.Random) -> Speeds:
    bandwidth = 0.0
    if engine in PRECISIONS:
        with suppress(Unavailable):
            bandwidth = read_bandwidth(CACHE, rig.threads)
    with open_worker(speed_worker(rig, engine)) as worker:
        worker.run(WARM_UP.batch(rng), Times)
        tasks = {task.name: _speed(worker, task, rng) for task in TASKS}
    for name, speed in tasks.items():
        print(f"{engine}, {name}: {speed:.1f} tokens/s", file=sys.stderr)
    return Speeds(ready=worker.ready, tasks=tasks, bandwidth=bandwidth)


def _speed_of(task: Task, speeds: Speeds) -> float:
    return speeds.tasks[task.name]


def _speed(worker: Worker, task: Task, rng: random.Random) -> float:
    return median(task.speed(worker.run(task.batch(rng), Times)) for _ in range(REPEATS))


def bandwidth_figures(measured: Mapping[Engine, Measured[Speeds]]) -> Iterator[Figure]:
    """Bandwidth of decoding, which reads every weight once per token, compared with the read bandwidth of memory.

    Of a round's passes the best counts, whichever engine ran after it: noise only slows one down.
    """
    passes = [[speeds.bandwidth for speeds in measured[engine].values] for engine in BANDWIDTH_TARGETS]
    best = [max(own) for own in zip(*filter(None, passes), strict=True)]
    for engine, target in BANDWIDTH_TARGETS.items():
        rounds = measured[engine].values
        size = rounds[0].ready.weight_bytes if rounds else 0
        yield Figure(
            workload=f"decode, {size / 1e6:.0f} MB of weights per token, {PRECISIONS[engine]}",
            baseline=BANDWIDTH,
            unit="GB/s",
            ours=[speeds.tasks[ONE_SEQUENCE.name] * size / 1e9 for speeds in rounds],
            theirs=[bandwidth / 1e9 for bandwidth in best if bandwidth],
            target=target,
            more_is_better=True,
            digits=1,
            unavailable=measured[engine].unavailable or ("" if any(best) else "no C compiler"),
        )
