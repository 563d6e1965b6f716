"""The model server as a child process: start it, relay its log, stop it."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog

from core.clock import Clock
from core.errors import ConfigError
from core.progress import Progress, unwatched

log = structlog.get_logger()

SERVER: Final = (sys.executable, "-P", "-m", "core.inference")
"""-P keeps the working directory off `sys.path`: a folder named "core" there would shadow ours."""
MAX_LINE_BYTES: Final = 16 << 10
MAX_SOCKET_PATH_BYTES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChild:
    """Which model the child serves, and how.

    `command` starts the server; the other fields become its options, except `grace_seconds`: the time from SIGTERM to
    SIGKILL.
    """

    data_dir: Path
    model: str
    threads: int
    max_batch: int
    dtype: str
    kv_dtype: str
    cache_bytes: int
    memory_bytes: int
    grace_seconds: float = 5.0
    command: tuple[str, ...] = SERVER

    def argv(self, socket_path: Path) -> tuple[str, ...]:
        return (*self.command, "--uds", str(socket_path), *self.options(), "--exit-with-parent", "--tell-progress")

    def options(self) -> tuple[str, ...]:
        """The server's command line options for the model and how it runs."""
        return (
            *("--model", self.model),
            *("--data-dir", str(self.data_dir)),
            *("--threads", str(self.threads)),
            *("--max-batch", str(self.max_batch)),
            *("--dtype", self.dtype),
            *("--kv-dtype", self.kv_dtype),
            *("--cache-bytes", str(self.cache_bytes)),
            *("--memory-bytes", str(self.memory_bytes)),
        )


def new_socket_path(folders: ExitStack) -> Path:
    """A path in a new private folder, which is removed with `folders`. Its name is short, since the path of a Unix
    socket is limited to 100 bytes. Raises ConfigError if that of the temporary folder is too long.
    """
    path = Path(folders.enter_context(TemporaryDirectory(prefix="parley-", ignore_cleanup_errors=True))) / "model"
    if len(bytes(path)) > MAX_SOCKET_PATH_BYTES:
        raise ConfigError("TMPDIR", "its path is too long for a Unix socket")
    return path


async def start(child: ModelChild, socket_path: Path) -> asyncio.subprocess.Process:
    """Start the child; hand the process to `stopping`. Raises OSError if it cannot be started."""
    piped = asyncio.subprocess.PIPE
    return await spawn(child.argv(socket_path), own_environment(), stdout=asyncio.subprocess.DEVNULL, stderr=piped)


async def spawn(
    command: Sequence[str], environment: Mapping[str, str], *, stdout: int | None = None, stderr: int | None = None
) -> asyncio.subprocess.Process:
    """Start a process whose standard input is a pipe from this one; it exits when that is closed, so it never outlives
    us. It has a session of its own: the terminal's Ctrl-C does not reach it, and replies in progress can finish.
    """
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        start_new_session=True,
    )


def own_environment(*kept: str) -> Mapping[str, str]:
    """Our environment without Parley's settings, which include secrets, but with the `kept` variables."""
    return {name: value for name, value in os.environ.items() if name in kept or not name.startswith("PARLEY_")}


@asynccontextmanager
async def stopping(process: asyncio.subprocess.Process, grace_seconds: float, clock: Clock) -> AsyncIterator[None]:
    """Stop and reap the process on exit: SIGTERM, then SIGKILL if it still runs after `grace_seconds`."""
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


async def relay(stderr: asyncio.StreamReader, progress: Progress = unwatched) -> str:
    """Log the child's standard error until it ends, and pass on how far it is in converting weights.

    Returns the last line that was not a log record.
    """
    rest, last = b"", ""
    while chunk := await stderr.read(MAX_LINE_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        rest = rest[-MAX_LINE_BYTES:]
        for line in lines:
            last = _log_line(line.decode("utf-8", "replace").strip(), progress) or last
    return _log_line(rest.decode("utf-8", "replace").strip(), progress) or last


async def _terminate(process: asyncio.subprocess.Process, grace_seconds: float, clock: Clock) -> None:
    with suppress(ProcessLookupError, TimeoutError):
        process.terminate()
        async with clock.timeout(grace_seconds):
            await process.wait()


def _log_line(line: str, progress: Progress) -> str:
    """Log one line. A JSON log record keeps its level and values and returns "". Progress does too, and is not logged.
    Any other line is returned.
    """
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    match record:
        case {"progress": [int(done), int(total)]}:
            progress(done, total)
            return ""
    if isinstance(record, dict) and "event" in record:
        level = logging.getLevelNamesMapping().get(str(record.pop("level", "")).upper(), logging.INFO)
        record.pop("timestamp", None)
        log.log(level, str(record.pop("event")), process="model", **record)
        return ""
    if line:
        log.warning("the model server says", line=line)
    return line
