"""The model server as a child process: how it is started, listened to and stopped."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from core.clock import Clock

log = structlog.get_logger()

SERVER: Final = (sys.executable, "-P", "-m", "core.inference")
"""-P: a folder named "core" where Parley is started must not be taken for ours."""
MAX_LINE_BYTES: Final = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChild:
    """What the child serves, and how. `command` is what is started; it is given the rest as options."""

    data_dir: Path
    model: str = "mini"
    threads: int = 0
    max_batch: int = 8
    dtype: str = "auto"
    cache_bytes: int = 512 << 20
    grace_seconds: float = 5.0
    command: tuple[str, ...] = SERVER

    def argv(self, socket_path: Path) -> tuple[str, ...]:
        return (*self.command, "--uds", str(socket_path), *self.options(), "--exit-with-parent")

    def options(self) -> tuple[str, ...]:
        """What is served and how, as the server's command line has it."""
        return (
            *("--model", self.model),
            *("--data-dir", str(self.data_dir)),
            *("--threads", str(self.threads)),
            *("--max-batch", str(self.max_batch)),
            *("--dtype", self.dtype),
            *("--cache-bytes", str(self.cache_bytes)),
        )


async def start(child: ModelChild, socket_path: Path) -> asyncio.subprocess.Process:
    """The child, for `stopping` to take care of. OSError where it cannot be started.

    We hold its standard input: however we end, it ends with us. A session of its own keeps the terminal's Ctrl-C from
    it, so that replies under way are finished first. Our settings, among them keys, are not its business.
    """
    return await asyncio.create_subprocess_exec(
        *child.argv(socket_path),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if not name.startswith("PARLEY_")},
        start_new_session=True,
    )


@asynccontextmanager
async def stopping(process: asyncio.subprocess.Process, grace_seconds: float, clock: Clock) -> AsyncIterator[None]:
    """Stop and reap the process at the end: SIGTERM, and SIGKILL where it takes too long."""
    try:
        yield
    finally:
        try:
            await _terminate(process, grace_seconds, clock)
        finally:
            kill(process)
            await process.wait()


def kill(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()


async def relay(stderr: asyncio.StreamReader) -> str:
    """Pass on what the child says, line by line, until it ends; its last line that is not of a log."""
    rest, last = b"", ""
    while chunk := await stderr.read(MAX_LINE_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[-MAX_LINE_BYTES:]
        for line in lines:
            last = _pass_on(line.decode("utf-8", "replace").strip()) or last
    return _pass_on(rest.decode("utf-8", "replace").strip()) or last


async def _terminate(process: asyncio.subprocess.Process, grace_seconds: float, clock: Clock) -> None:
    with suppress(ProcessLookupError, TimeoutError):
        process.terminate()
        async with clock.timeout(grace_seconds):
            await process.wait()


def _pass_on(line: str) -> str:
    """Log one line, as what it is if it is a record of a log; a line that is not is returned."""
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if isinstance(record, dict) and "event" in record:
        level = logging.getLevelNamesMapping().get(str(record.pop("level", "")).upper(), logging.INFO)
        record.pop("timestamp", None)
        log.log(level, str(record.pop("event")), process="model", **record)
        return ""
    if line:
        log.warning("the model server says", line=line)
    return line
