"""Rows of a batch, as every contender runs them: a process of its own that reads lines of work and writes seconds.

Only the standard library: the alternatives import this in an environment without the rest of Parley.
"""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Prompts of ids to read, a row for each, and how many tokens each row writes after its first."""

    prompts: Sequence[Sequence[int]]
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds until every row has its first token, and from there until each has written its steps."""

    reading: float
    writing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a contender says of itself once it has loaded. `weight_bytes`: what is read for one token, head included."""

    version: str
    weight_bytes: int


Contender: TypeAlias = Callable[[Work], Times]


def serve(ready: Ready, contender: Contender) -> None:
    """Says that it is ready, then answers each line on standard input with one."""
    print(json.dumps(asdict(ready)), flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(contender(Work(**json.loads(line))))), flush=True)
