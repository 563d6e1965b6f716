"""Decode and prefill speed compared with llama.cpp and CTranslate2, and decoding compared with the read bandwidth."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import TypeVar

from pydantic import TypeAdapter

from benchmarks.bandwidth import read_bandwidth
from benchmarks.figures import Figure, Unavailable
from benchmarks.processes import CACHE, ROOT, clean_environment
from benchmarks.rig import Rig
from benchmarks.worker import Batch, Ready, Times

T = TypeVar("T")

REPEATS = 3
"""Batches per task and round; their median counts."""
TEXT_TOKENS = 100_000
"""Token ids below this are plain text in every vocabulary of the family."""

OURS, LLAMA, CTRANSLATE2 = "Parley", "llama.cpp Q8_0", "CTranslate2 int8"
BANDWIDTH = "memory read bandwidth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A kind of batch: its sequences, the prompt tokens of each, and the decode steps, 0 to measure prefill.

    `targets` are the ratios to reach, by engine.
    """

    name: str
    sequences: int
    prompt: int
    steps: int
    targets: Mapping[str, float]

    def batch(self, rng: random.Random) -> Batch:
        """A batch with new random prompts, so that no cache can help."""
        prompts = [[rng.randrange(TEXT_TOKENS) for _ in range(self.prompt)] for _ in range(self.sequences)]
        return Batch(prompts=prompts, steps=self.steps)

    def speed(self, times: Times) -> float:
        """Tokens per second: those decoded after the first, or those of the prompts if there are no steps."""
        if self.steps:
            return self.sequences * self.steps / times.decode
        return self.sequences * self.prompt / times.prefill


ONE_SEQUENCE = Task(name="decode, one sequence", sequences=1, prompt=32, steps=64, targets={LLAMA: 1.25})
TASKS = (
    ONE_SEQUENCE,
    Task(name="decode, 8 sequences, total", sequences=8, prompt=32, steps=32, targets={LLAMA: 1.5}),
    Task(name="prefill, 256 tokens", sequences=1, prompt=256, steps=0, targets={LLAMA: 1.3, CTRANSLATE2: 1.0}),
)
WARM_UP = Task(name="warm-up", sequences=8, prompt=16, steps=4, targets={})
BANDWIDTH_TARGET = 0.8


@dataclass(slots=True, kw_only=True)
class Speeds:
    """Tokens per second of one engine, by task, one value per round."""

    ready: Ready | None = None
    unavailable: str = ""
    tasks: dict[str, list[float]] = field(default_factory=lambda: {task.name: [] for task in TASKS})


def measure(rig: Rig) -> list[Figure]:
    """Figures of all tasks. Each round loads the engines one after the other; they take turns to be first."""
    speeds = {name: Speeds() for name in (OURS, LLAMA, CTRANSLATE2)}
    bandwidths: list[float] = []
    for number in range(rig.rounds):
        with suppress(Unavailable):
            bandwidths.append(read_bandwidth(CACHE, rig.threads))
        for name in rotated(list(speeds), number):
            _round(rig, name, speeds[name], random.Random(number))
    return [*_task_figures(speeds), _bandwidth_figure(speeds[OURS], bandwidths)]


def rotated(items: Sequence[T], number: int) -> list[T]:
    """The items in their order, beginning with item `number` modulo their count."""
    first = number % len(items)
    return [*items[first:], *items[:first]]


def _round(rig: Rig, name: str, speeds: Speeds, rng: random.Random) -> None:
    """Measures one engine in one round. An engine that fails once is left out, because rounds are compared in pairs."""
    if speeds.unavailable:
        return
    try:
        with _worker(rig, name) as (ready, process):
            speeds.ready = ready
            _run(process, WARM_UP.batch(rng))
            for task in TASKS:
                own = [task.speed(_run(process, task.batch(rng))) for _ in range(REPEATS)]
                speeds.tasks[task.name].append(median(own))
                print(f"{name}, {task.name}: {median(own):.1f} tokens/s", file=sys.stderr)
    except Unavailable as error:
        speeds.unavailable = str(error)
        for own in speeds.tasks.values():
            own.clear()


def _command(rig: Rig, name: str) -> tuple[list[object], Mapping[str, str]]:
    """Command line and environment of a worker."""
    if name == LLAMA:
        return [rig.python, "-m", "benchmarks.alternatives.llama_worker", rig.gguf, rig.threads], rig.environment
    if name == CTRANSLATE2:
        module = "benchmarks.alternatives.ctranslate2_worker"
        return [rig.python, "-m", module, rig.ctranslate2, rig.threads], rig.environment
    return [sys.executable, "-m", "benchmarks.parley_worker", rig.model, rig.threads, rig.dtype], clean_environment()


@contextmanager
def _worker(rig: Rig, name: str) -> Iterator[tuple[Ready, subprocess.Popen[str]]]:
    command, environment = _command(rig, name)
    with (CACHE / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [*map(str, command)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
        )
    with process:
        assert process.stdout
        yield _read(process, Ready), process


def _run(process: subprocess.Popen[str], batch: Batch) -> Times:
    assert process.stdin
    print(json.dumps(asdict(batch)), file=process.stdin, flush=True)
    return _read(process, Times)


def _read(process: subprocess.Popen[str], kind: type[T]) -> T:
    """The next line of a worker. Raises Unavailable if it has exited."""
    assert process.stdout
    if not (line := process.stdout.readline()):
        raise Unavailable(f"failed, see {CACHE.relative_to(ROOT) / 'worker.log'}")
    return TypeAdapter(kind).validate_json(line)


def _task_figures(speeds: Mapping[str, Speeds]) -> Iterator[Figure]:
    for task in TASKS:
        for other in (LLAMA, CTRANSLATE2):
            yield Figure(
                workload=task.name,
                baseline=_versioned(other, speeds[other]),
                unit="tokens/s",
                ours=speeds[OURS].tasks[task.name],
                theirs=speeds[other].tasks[task.name],
                target=task.targets.get(other),
                more_is_better=True,
                digits=1,
                unavailable=speeds[other].unavailable or speeds[OURS].unavailable,
            )


def _versioned(name: str, speeds: Speeds) -> str:
    return f"{name} {speeds.ready.version.split()[0]}" if speeds.ready else name


def _bandwidth_figure(ours: Speeds, bandwidths: Sequence[float]) -> Figure:
    """Bandwidth of decoding, which reads every weight once per token, compared with the read bandwidth of memory."""
    size = ours.ready.weight_bytes if ours.ready else 0
    return Figure(
        workload=f"decode, {size / 1e6:.0f} MB of weights per token",
        baseline=BANDWIDTH,
        unit="GB/s",
        ours=[speed * size / 1e9 for speed in ours.tasks[ONE_SEQUENCE.name]],
        theirs=[bandwidth / 1e9 for bandwidth in bandwidths],
        target=BANDWIDTH_TARGET,
        more_is_better=True,
        digits=1,
        unavailable="" if bandwidths else "no C compiler",
    )
