"""Brings up gateways as processes of their own in milliseconds: everything is imported once, then forked.

Reads one command a line, `start PLAN LOG` or `wait PID`, and answers each with one line.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]


class Nursery:
    """The test's end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._turn = threading.Lock()

    async def start(self, plan: Any, log: Path) -> int:  # noqa: ANN401  the life's own
        """The id of a new process, which lives by this plan."""
        return int(await self._ask("start", asdict(plan), str(log)))

    async def wait(self, pid: int) -> int:
        """Until the process ended or was stopped: its exit code, or the signal, negative."""
        return int(await self._ask("wait", pid))

    async def _ask(self, *command: object) -> str:
        return await asyncio.to_thread(self._exchange, json.dumps(command))

    def _exchange(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._turn:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
            return self._process.stdout.readline()


@contextmanager
def open_nursery(life: str) -> Iterator[Nursery]:
    """Gateways of one kind: a module with a `Plan` and a `live`."""
    command = (sys.executable, "-m", "tests.faults.nursery", life)
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Nursery(process)


def main(life: ModuleType) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # a life may be told to end before it can listen
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        sys.stdout.write(f"{_start(life, *arguments) if command == 'start' else _wait(*arguments)}\n")
        sys.stdout.flush()


def _start(life: ModuleType, plan: dict[str, object], log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with Path(log).open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        asyncio.run(_live(life, plan))
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _live(life: ModuleType, plan: dict[str, object]) -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    await life.live(life.Plan(**plan), told)


def _wait(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, os.WUNTRACED)
    except ChildProcessError:  # waited for before, by a test that was given up
        return 0
    return -os.WSTOPSIG(status) if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main(import_module(sys.argv[1]))
