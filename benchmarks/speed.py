"""Decoding and prefill beside llama.cpp and CTranslate2, and how near decoding comes to the memory's speed."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from statistics import median

from benchmarks.bandwidth import read_bandwidth
from benchmarks.figures import Absent, Figure
from benchmarks.rig import CACHE, Rig
from benchmarks.rows import Ready, Times, Work
from benchmarks.sides import ROOT

REPEATS = 3
PLAIN = 100_000
"""Ids below this are plain text in any vocabulary of the family."""

OURS, LLAMA, CTRANSLATE2 = "Parley", "llama.cpp Q8_0", "CTranslate2 int8"
MEMORY = "read bandwidth"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One kind of work, counted in tokens a second: those that are read, or those that are written after the first."""

    name: str
    rows: int
    prompt: int
    steps: int
    aims: Mapping[str, float]

    def work(self, noise: random.Random) -> Work:
        """New prompts each time: nothing can be known from before."""
        prompts = [[noise.randrange(PLAIN) for _ in range(self.prompt)] for _ in range(self.rows)]
        return Work(prompts=prompts, steps=self.steps)

    def speed(self, times: Times) -> float:
        if self.steps:
            return self.rows * self.steps / times.writing
        return self.rows * self.prompt / times.reading


ONE_ROW = Task(name="decode, one row", rows=1, prompt=32, steps=64, aims={LLAMA: 1.25})
TASKS = (
    ONE_ROW,
    Task(name="decode, 8 rows, total", rows=8, prompt=32, steps=32, aims={LLAMA: 1.5}),
    Task(name="prefill 256 tokens", rows=1, prompt=256, steps=0, aims={LLAMA: 1.3, CTRANSLATE2: 1.0}),
)
WARM_UP = Task(name="warm-up", rows=8, prompt=16, steps=4, aims={})
LIMIT_AIM = 0.8


@dataclass(slots=True, kw_only=True)
class Speeds:
    """What one contender managed, a figure of each task for each round."""

    ready: Ready | None = None
    absent: str = ""
    tasks: dict[str, list[float]] = field(default_factory=lambda: {task.name: [] for task in TASKS})


def measure(rig: Rig) -> list[Figure]:
    """Every round loads the contenders one after the other, never two at once, each time another one first."""
    speeds = {name: Speeds() for name in (OURS, LLAMA, CTRANSLATE2)}
    bandwidths: list[float] = []
    for number in range(rig.rounds):
        with suppress(Absent):
            bandwidths.append(read_bandwidth(CACHE, rig.threads))
        for name in rotated(list(speeds), number):
            _round(rig, name, speeds[name], random.Random(number))
    return [*_compared(speeds), _limit(speeds[OURS], bandwidths)]


def rotated(names: Sequence[str], number: int) -> list[str]:
    """The names in their order, beginning with another one each time."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def _round(rig: Rig, name: str, speeds: Speeds, noise: random.Random) -> None:
    """Who fails once is absent: rounds are compared one by one."""
    if speeds.absent:
        return
    try:
        with _contender(rig, name) as (ready, process):
            speeds.ready = ready
            _ask(process, WARM_UP.work(noise))
            for task in TASKS:
                own = [task.speed(_ask(process, task.work(noise))) for _ in range(REPEATS)]
                speeds.tasks[task.name].append(median(own))
                print(f"{name}, {task.name}: {median(own):.1f} tokens/s", file=sys.stderr)
    except Absent as absent:
        speeds.absent = str(absent)
        for own in speeds.tasks.values():
            own.clear()


def _command(rig: Rig, name: str) -> tuple[list[object], Mapping[str, str]]:
    if name == LLAMA:
        return [rig.python, "-m", "benchmarks.alternatives.llama_rows", rig.gguf, rig.threads], rig.environment
    if name == CTRANSLATE2:
        module = "benchmarks.alternatives.ctranslate2_rows"
        return [rig.python, "-m", module, rig.ctranslate2, rig.threads], rig.environment
    return [sys.executable, "-m", "benchmarks.parley_rows", rig.model, rig.threads, rig.dtype], rig.ours


@contextmanager
def _contender(rig: Rig, name: str) -> Iterator[tuple[Ready, subprocess.Popen[str]]]:
    command, environment = _command(rig, name)
    with (CACHE / "contender.log").open("w") as log:
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
        yield Ready(**_line(process)), process


def _ask(process: subprocess.Popen[str], work: Work) -> Times:
    assert process.stdin
    print(json.dumps(asdict(work)), file=process.stdin, flush=True)
    return Times(**_line(process))


def _line(process: subprocess.Popen[str]) -> Mapping[str, object]:
    assert process.stdout
    if not (line := process.stdout.readline()):
        raise Absent(f"failed, see {CACHE.relative_to(ROOT) / 'contender.log'}")
    return json.loads(line)


def _compared(speeds: Mapping[str, Speeds]) -> Iterator[Figure]:
    for task in TASKS:
        for other in (LLAMA, CTRANSLATE2):
            yield Figure(
                work=task.name,
                against=_named(other, speeds[other]),
                unit="tokens/s",
                ours=speeds[OURS].tasks[task.name],
                theirs=speeds[other].tasks[task.name],
                aim=task.aims.get(other),
                more_is_better=True,
                digits=1,
                absent=speeds[other].absent or speeds[OURS].absent,
            )


def _named(name: str, speeds: Speeds) -> str:
    return f"{name} {speeds.ready.version.split()[0]}" if speeds.ready else name


def _limit(ours: Speeds, bandwidths: Sequence[float]) -> Figure:
    """Each token reads every weight once: so many bytes a second decoding gets, of those that the memory gives."""
    size = ours.ready.weight_bytes if ours.ready else 0
    return Figure(
        work=f"decode, {size / 1e6:.0f} MB a token",
        against=MEMORY,
        unit="GB/s",
        ours=[speed * size / 1e9 for speed in ours.tasks[ONE_ROW.name]],
        theirs=[bandwidth / 1e9 for bandwidth in bandwidths],
        aim=LIMIT_AIM,
        more_is_better=True,
        digits=1,
        absent="" if bandwidths else "absent: no C compiler",
    )
