"""Supervises the gateway's model server: restarts it if it ends or hangs."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from core.bulkhead import bulkhead
from core.clock import Clock
from core.engine.child import ModelChild, new_socket_path, relay, start, stopping
from core.engine.timings import EX_CONFIG, TIMINGS, Timings
from core.engine.watchdog import reason_of_end, watch
from core.errors import EngineUnavailable
from core.progress import Progress, unwatched

log = structlog.get_logger()

EX_SOFTWARE: Final = 70
EX_OSERR: Final = 71


class Supervised:
    """State of the child: ready, or the reason why it is not. Another child may listen on another `socket_path`."""

    def __init__(self, socket_path: Path, clock: Clock) -> None:
        self.socket_path = socket_path
        self.reason = "starting"
        self._clock = clock
        self._ready_since: float | None = None
        self._settled = asyncio.Event()

    @property
    def is_ready(self) -> bool:
        return self._ready_since is not None

    async def wait_ready(self, seconds: float) -> None:
        """Wait for the child. Raises EngineUnavailable if it is not ready within `seconds`.

        If its last exit was a configuration error, the wait ends at once.
        """
        try:
            async with self._clock.timeout(seconds):
                await self._settled.wait()
        except TimeoutError:
            raise EngineUnavailable(self.reason) from None
        if self._ready_since is None:
            raise EngineUnavailable(self.reason)

    def mark_ready(self) -> None:
        """Record that the child answers for the first time."""
        self._ready_since = self._clock.monotonic()
        self._settled.set()

    def mark_ended(self, reason: str, *, fail_fast: bool) -> float:
        """Record that the child has ended; the seconds it was ready. `fail_fast` ends the wait of callers at once."""
        served = 0.0 if self._ready_since is None else self._clock.monotonic() - self._ready_since
        self._ready_since, self.reason = None, reason
        if fail_fast:
            self._settled.set()
        else:
            self._settled.clear()
        return served


@asynccontextmanager
async def supervise(
    child: ModelChild, clock: Clock, timings: Timings = TIMINGS, progress: Progress = unwatched
) -> AsyncIterator[Supervised]:
    """Run the child and restart it until the context is left; no process or file remains. Yields before it is ready.

    Raises ConfigError if the temporary folder's path is too long for a Unix socket.
    """
    with ExitStack() as folders:
        supervised = Supervised(new_socket_path(folders), clock)
        task = asyncio.create_task(_Supervisor(child, supervised, folders, clock, timings, progress).run())
        try:
            yield supervised
        finally:
            task.cancel()
            await asyncio.wait([task])


@dataclass(frozen=True, slots=True)
class _Supervisor:
    child: ModelChild
    supervised: Supervised
    folders: ExitStack
    clock: Clock
    timings: Timings
    progress: Progress

    async def run(self) -> None:
        """Run child after child, until cancelled."""
        failures = 0
        while True:
            code, reason = await self._run_guarded()
            served = self.supervised.mark_ended(reason, fail_fast=code == EX_CONFIG)
            failures = self.timings.count_failures(failures, served=served)
            pause = self.timings.restart_pause(failures, code=code)
            log.warning("model server ended", code=code, reason=reason, served=round(served, 1), pause=pause)
            await self.clock.sleep(pause)

    async def _run_guarded(self) -> tuple[int, str]:
        """Like `_run_child`. An unexpected fault of this process costs one child: nothing else would start the next."""
        with bulkhead() as outcome:
            return await self._run_child()
        return EX_SOFTWARE, f"unexpected: {outcome.fault}"

    async def _run_child(self) -> tuple[int, str]:
        """Run one child to its end; its exit status and why it ended."""
        try:
            self._clear_socket_path()
            process = await start(self.child, self.supervised.socket_path)
        except OSError as error:
            return EX_OSERR, f"cannot start the model server: {error.strerror}"
        assert process.stderr is not None
        log.info("model server started", pid=process.pid, model=self.child.model)
        async with asyncio.TaskGroup() as tasks, stopping(process, self.child.grace_seconds, self.clock):
            last_line = tasks.create_task(relay(process.stderr, self.progress))
            watching = tasks.create_task(self._watch(process))
            code = await process.wait()
            watching.cancel()
        told = last_line.result() if code == EX_CONFIG else ""
        return code, told or reason_of_end(code, watching)

    def _clear_socket_path(self) -> None:
        """Make room for the next child's socket: in the same folder, or in a new one if that is gone or another's."""
        folder = self.supervised.socket_path.parent
        if not _is_private(folder):
            log.warning("the folder of the model server's socket is gone", folder=str(folder))
            self.supervised.socket_path = new_socket_path(self.folders)
        self.supervised.socket_path.unlink(missing_ok=True)

    async def _watch(self, process: asyncio.subprocess.Process) -> str:
        def on_ready() -> None:
            self.supervised.mark_ready()
            log.info("model server ready", pid=process.pid)

        return await watch(process, self.supervised.socket_path, self.clock, self.timings, on_ready)


def _is_private(folder: Path) -> bool:
    """Whether the folder is there, is ours, and is closed to others; somebody may have made another of its name."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
