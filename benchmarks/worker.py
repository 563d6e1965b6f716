"""Protocol of a benchmark worker: a process that reads batches as lines of JSON and answers with the seconds they took.

Only the standard library: workers of the alternatives import this in an environment without Parley's packages.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias


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
class Ready:
    """First line of a worker, sent once its model is loaded. `weight_bytes` are read for each token, head included."""

    version: str
    weight_bytes: int


RunBatch: TypeAlias = Callable[[Batch], Times]


def serve(ready: Ready, run: RunBatch) -> None:
    """Sends `ready`, then answers each line on standard input with one line."""
    print(json.dumps(asdict(ready)), flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(run(Batch(**json.loads(line))))), flush=True)
