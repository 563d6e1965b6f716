"""Protocol of a benchmark worker: a process that reads tasks as lines of JSON and answers each with one line.

Only the standard library: workers of the alternatives import this in an environment without Parley's packages.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Prompts as token ids, one sequence each, and the decode steps after the first token of each sequence."""

    prompts: Sequence[Sequence[int]]
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds: `prefill` until each sequence has its first token, `decode` for the steps after it."""

    prefill: float
    decode: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text as token ids. The logits after each of them go into the file `into`, as float32 [length, vocabulary]."""

    ids: Sequence[int]
    into: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The logits of a passage are in its file."""

    positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """First line of a worker, sent once its model is loaded. `weight_bytes` are read for each token, head included."""

    version: str
    weight_bytes: int


Task = TypeVar("Task", Batch, Passage)
RunBatch: TypeAlias = Callable[[Batch], Times]
WriteLogits: TypeAlias = Callable[[Passage], Written]


def serve(ready: Ready, kind: type[Task], run: Callable[[Task], Times | Written]) -> None:
    """Sends `ready`, then answers each line on standard input, a task of this kind, with one line."""
    print(json.dumps(asdict(ready)), flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(run(kind(**json.loads(line))))), flush=True)
