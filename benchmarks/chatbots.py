"""The two chatbots as child processes that answer one line with one line: `parley chat --json` and the naive bot."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from operator import add

from benchmarks.machine import Memory, children_of, memory_of
from benchmarks.processes import ROOT, clean_environment, wait_or_kill
from benchmarks.questions import LOCALE

TIMEOUT = "600"
"""Seconds for a reply: high enough that no deadline cuts one short, however slow the machine."""


class WrongAnswer(Exception):
    """A chatbot or server did not answer as the benchmark requires, so its times would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Cost of one message. `total` is the time from the line sent to the line received, in seconds, measured here;
    `first_token` is the time to first token that the bot reports.
    """

    first_token: float
    total: float
    prompt_tokens: int
    reply_tokens: int
    mood: str

    @property
    def per_token(self) -> float:
        """Seconds per token after the first; 0 for a reply of one token."""
        return (self.total - self.first_token) / max(self.reply_tokens - 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chatbot:
    """A running chatbot."""

    name: str
    process: subprocess.Popen[str]

    def ask(self, line: str) -> Answer:
        """Sends a line and waits for the answer. Raises WrongAnswer if the model did not write it."""
        begun = time.perf_counter()
        row = json.loads(self.say(line))
        total = time.perf_counter() - begun
        if row.get("source", "model") != "model" or row.get("error"):
            raise WrongAnswer(f"not a reply of the model: {row}")
        return Answer(
            first_token=row["seconds"]["first_token"],
            total=total,
            prompt_tokens=row["usage"]["prompt_tokens"],
            reply_tokens=row["usage"]["completion_tokens"],
            mood=row["mood"]["label"],
        )

    def say(self, line: str) -> str:
        """Sends a line and returns the answer. Raises WrongAnswer if the bot has exited."""
        assert self.process.stdin
        assert self.process.stdout
        print(line, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise WrongAnswer(f"{self.name} exited")
        return answer

    def memory(self) -> list[Memory]:
        """Memory of the bot's process, followed by that of each child process."""
        return [memory_of(pid) for pid in (self.process.pid, *children_of(self.process.pid))]


@contextmanager
def parley(model: str, *, threads: int, tokens: int) -> Iterator[Chatbot]:
    """`parley chat --json` in an empty folder, with default settings except for these."""
    settings = {
        "PARLEY_ENGINE__MODEL": model,
        "PARLEY_ENGINE__THREADS": str(threads),
        "PARLEY_CHAT__LOCALE": LOCALE,
        "PARLEY_CHAT__MAX_REPLY_TOKENS": str(tokens),
        "PARLEY_CHAT__IDLE_TIMEOUT": TIMEOUT,
        "PARLEY_CHAT__TOTAL_TIMEOUT": TIMEOUT,
    }
    with tempfile.TemporaryDirectory() as folder:
        own = {"PARLEY_DATA_DIR": folder} | settings
        with _running(("bots", "chat", "--json", "--user", "benchmark"), folder, own) as bot:
            yield bot


@contextmanager
def naive(model: str, *, threads: int) -> Iterator[Chatbot]:
    """The bot of `benchmarks/naive.py`."""
    own = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    with _running(("benchmarks.naive", model, str(threads)), str(ROOT), own) as bot:
        yield bot


def total_memory(memories: Sequence[Memory]) -> Memory:
    """Sum over processes; at least one."""
    return reduce(add, memories)


@contextmanager
def _running(module: Sequence[str], folder: str, own: Mapping[str, str]) -> Iterator[Chatbot]:
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=folder,
        env=clean_environment() | dict(own),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        try:
            yield Chatbot(name=module[0], process=process)
        finally:
            assert process.stdin
            process.stdin.close()
            wait_or_kill(process)
