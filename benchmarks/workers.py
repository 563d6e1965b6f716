"""Starts workers, and talks to them: the other side of `benchmarks/worker.py`."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TypeVar

from pydantic import TypeAdapter

from benchmarks.engines import Command
from benchmarks.figures import Unavailable
from benchmarks.processes import CACHE, ROOT
from benchmarks.worker import Batch, Passage, Ready

T = TypeVar("T")
LOG = CACHE / "worker.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A running worker."""

    ready: Ready
    process: subprocess.Popen[str]

    def run(self, task: Batch | Passage, answer: type[T]) -> T:
        """Sends a task and waits for its answer. Raises Unavailable if the worker has exited."""
        assert self.process.stdin
        print(json.dumps(asdict(task)), file=self.process.stdin, flush=True)
        return _read(self.process, answer)


@contextmanager
def open_worker(command: Command) -> Iterator[Worker]:
    """A worker whose model is loaded. Raises Unavailable if it does not start."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("w") as log:
        process = subprocess.Popen(
            [*map(str, command.arguments)],
            cwd=ROOT,
            env=command.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
        )
    with process:
        yield Worker(ready=_read(process, Ready), process=process)


def _read(process: subprocess.Popen[str], kind: type[T]) -> T:
    assert process.stdout
    if not (line := process.stdout.readline()):
        raise Unavailable(f"failed, see {LOG.relative_to(ROOT)}")
    return TypeAdapter(kind).validate_json(line)
