"""The two bots as processes that answer one line with one line: Parley as anybody runs it, and the naive one."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

from benchmarks.machine import Memory, children_of, memory_of
from benchmarks.questions import LOCALE

ROOT = Path(__file__).parents[1]
PATIENCE = "600"
"""Seconds: no deadline of a chat may cut a reply short here, however slow the machine."""


class WrongAnswer(Exception):
    """A bot did something else than answering with its model; the figures would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one message cost. Times in seconds from the line that went in: `total` to the line that came out, as seen
    from here, `first_token` as the bot says.
    """

    first_token: float
    total: float
    prompt_tokens: int
    reply_tokens: int
    mood: str

    @property
    def per_token(self) -> float:
        """Seconds for each token after the first."""
        return (self.total - self.first_token) / max(self.reply_tokens - 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """A running bot."""

    process: subprocess.Popen[str]

    def ask(self, line: str) -> Answer:
        """Sends a line and waits for the answer. WrongAnswer where the model did not write it."""
        begun = time.perf_counter()
        row = json.loads(self.say(line))
        total = time.perf_counter() - begun
        if row.get("source", "model") != "model" or row.get("error"):
            raise WrongAnswer(f"instead of a reply of the model: {row}")
        return Answer(
            first_token=row["seconds"]["first_token"],
            total=total,
            prompt_tokens=row["usage"]["prompt_tokens"],
            reply_tokens=row["usage"]["completion_tokens"],
            mood=row["mood"]["label"],
        )

    def say(self, line: str) -> str:
        """Sends a line and returns the one that answers it."""
        assert self.process.stdin
        assert self.process.stdout
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise WrongAnswer(f"{' '.join(map(str, self.process.args))} ended")
        return answer

    def memory(self) -> list[Memory]:
        """The memory of the bot's process, then of those that it has started."""
        return [memory_of(pid) for pid in (self.process.pid, *children_of(self.process.pid))]


@contextmanager
def parley(model: str, *, threads: int, tokens: int) -> Iterator[Bot]:
    """`parley chat --json` in a new folder, with no settings but these."""
    settings = {
        "PARLEY_ENGINE__MODEL": model,
        "PARLEY_ENGINE__THREADS": str(threads),
        "PARLEY_CHAT__LOCALE": LOCALE,
        "PARLEY_CHAT__MAX_REPLY_TOKENS": str(tokens),
        "PARLEY_CHAT__IDLE_TIMEOUT": PATIENCE,
        "PARLEY_CHAT__TOTAL_TIMEOUT": PATIENCE,
    }
    with tempfile.TemporaryDirectory() as folder:
        own = {"PARLEY_DATA_DIR": folder} | settings
        with _running(("bots", "chat", "--json", "--user", "benchmark"), folder, own) as bot:
            yield bot


@contextmanager
def naive(model: str, *, threads: int) -> Iterator[Bot]:
    """The bot of `benchmarks/naive.py`."""
    own = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with _running(("benchmarks.naive", model, str(threads)), str(ROOT), own) as bot:
        yield bot


def total_memory(held: Sequence[Memory]) -> Memory:
    return reduce(add, held)


@contextmanager
def _running(module: Sequence[str], folder: str, own: Mapping[str, str]) -> Iterator[Bot]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")}
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)} | own,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        try:
            yield Bot(process=process)
        finally:
            assert process.stdin
            process.stdin.close()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
