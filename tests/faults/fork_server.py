"""A fork server: starts gateway processes in milliseconds, because all modules are imported once, before the fork.

Reads one command per line as JSON, `["start", PLAN, LOG]` or `["wait", PID]`, and answers each with one line.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]


class ForkServer:
    """The client that the tests use."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._turn = threading.Lock()

    async def start(self, plan: Any, log: Path) -> int:  # noqa: ANN401  the gateway module's own
        """Start a process with this plan and return its id."""
        return int(await self._ask("start", asdict(plan), str(log)))

    async def wait(self, pid: int) -> int:
        """Wait until the process exits or is suspended. Returns its exit code, or the negative number of the signal."""
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
def open_fork_server(gateway: str, environment: Mapping[str, str] | None = None) -> Iterator[ForkServer]:
    """Run a fork server for the gateways of one module, which has a `Plan` and a `run`; perhaps in an environment."""
    command = (sys.executable, "-m", "tests.faults.fork_server", gateway)
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield ForkServer(process)


def main(gateway: ModuleType) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # SIGTERM may arrive before the handler is set
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        sys.stdout.write(f"{_start(gateway, *arguments) if command == 'start' else _wait(*arguments)}\n")
        sys.stdout.flush()


def _start(gateway: ModuleType, plan: dict[str, object], log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with Path(log).open("ab") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        asyncio.run(_run(gateway, plan))
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)


async def _run(gateway: ModuleType, plan: dict[str, object]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    await gateway.run(gateway.Plan(**plan), stop)


def _wait(pid: int) -> int:
    try:
        _, status = os.waitpid(pid, os.WUNTRACED)
    except ChildProcessError:  # a test that timed out has waited for it before
        return 0
    return -os.WSTOPSIG(status) if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    main(import_module(sys.argv[1]))
