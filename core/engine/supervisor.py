"""Supervises the model server: probes its health, kills it if it hangs, restarts it if it ends."""

import asyncio
import os
import stat
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import structlog

from core.backoff import Backoff
from core.clock import Clock
from core.engine.child import ModelChild, kill, relay, start, stopping
from core.errors import ConfigError, EngineUnavailable

log = structlog.get_logger()

EX_OSERR: Final = 71
EX_CONFIG: Final = 78
"""Exit status of a server whose model is missing or damaged. An early restart would not help."""
MAX_SOCKET_PATH_BYTES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """The supervisor's intervals and timeouts, in seconds.

    `restart` is the back-off between starts; it begins anew once a child has been ready for `stable_after`. The child's
    /health is probed every `probe_starting` until it is ready, then every `probe_ready`; one probe may take
    `probe_timeout`. A child without an answer for `start_timeout` while it loads its model, or for `silence_timeout`
    later, is killed.
    """

    restart: Backoff = Backoff(first=0.5, longest=30.0)  # noqa: RUF009  frozen
    stable_after: float = 60.0
    probe_starting: float = 0.1
    probe_ready: float = 1.0
    probe_timeout: float = 5.0
    silence_timeout: float = 30.0
    start_timeout: float = 600.0

    def count_failures(self, failures: int, *, served: float) -> int:
        """Failures in a row, after a child that was ready for `served` seconds; `failures` were counted before it."""
        return 1 if served >= self.stable_after else failures + 1

    def restart_pause(self, failures: int, *, code: int) -> float:
        """The pause before the next start, after a child that exited with `code`."""
        return self.restart.longest if code == EX_CONFIG else self.restart.pause(failures)


TIMINGS: Final = Timings()


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

    def mark_ready(self) -> bool:
        """Record that the child answers; True if it was not ready before."""
        if self._ready_since is not None:
            return False
        self._ready_since = self._clock.monotonic()
        self._settled.set()
        return True

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
async def supervise(child: ModelChild, clock: Clock, timings: Timings = TIMINGS) -> AsyncIterator[Supervised]:
    """Run the child and restart it until the context is left; no process or file remains. Yields before it is ready.

    Raises ConfigError if the temporary folder's path is too long for a Unix socket.
    """
    with ExitStack() as folders:
        supervised = Supervised(_new_socket_path(folders), clock)
        task = asyncio.create_task(_Supervisor(child, supervised, folders, clock, timings).run())
        try:
            yield supervised
        finally:
            task.cancel()
            await asyncio.wait([task])


def _new_socket_path(folders: ExitStack) -> Path:
    """A path in a new private folder, which is removed with `folders`. Its name is short, since the path of a Unix
    socket is limited to 100 bytes.
    """
    path = Path(folders.enter_context(tempfile.TemporaryDirectory(prefix="parley-"))) / "model"
    if len(bytes(path)) > MAX_SOCKET_PATH_BYTES:
        raise ConfigError("TMPDIR", "its path is too long for a Unix socket")
    return path


@dataclass(frozen=True, slots=True)
class _Supervisor:
    child: ModelChild
    supervised: Supervised
    folders: ExitStack
    clock: Clock
    timings: Timings

    async def run(self) -> None:
        """Run child after child, until cancelled."""
        failures = 0
        while True:
            code, reason = await self._run_child()
            served = self.supervised.mark_ended(reason, fail_fast=code == EX_CONFIG)
            failures = self.timings.count_failures(failures, served=served)
            pause = self.timings.restart_pause(failures, code=code)
            log.warning("model server ended", code=code, reason=reason, served=round(served, 1), pause=pause)
            await self.clock.sleep(pause)

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
            last_line = tasks.create_task(relay(process.stderr))
            watch = tasks.create_task(self._watch(process))
            code = await process.wait()
            watch.cancel()
        if not watch.cancelled():
            return code, watch.result()
        return code, (code == EX_CONFIG and last_line.result()) or f"the model server ended with {code}"

    def _clear_socket_path(self) -> None:
        """Make room for the next child's socket: in the same folder, or in a new one if that is gone or another's."""
        folder = self.supervised.socket_path.parent
        if not _is_private(folder):
            log.warning("the folder of the model server's socket is gone", folder=str(folder))
            self.supervised.socket_path = _new_socket_path(self.folders)
        self.supervised.socket_path.unlink(missing_ok=True)

    async def _watch(self, process: asyncio.subprocess.Process) -> str:
        """Probe the child's health until it cannot be reached, stalls or falls silent, then kill it; the reason."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.supervised.socket_path))
        async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None), trust_env=False) as client:
            reason = await self._until_lost(process, client)
        kill(process)
        return reason

    async def _until_lost(self, process: asyncio.subprocess.Process, client: httpx.AsyncClient) -> str:
        timings, socket_path, was_ready = self.timings, self.supervised.socket_path, False
        answered_at, limit, interval = self.clock.monotonic(), timings.start_timeout, timings.probe_starting
        while True:
            status = await self._probe(client)
            now = self.clock.monotonic()
            if status == HTTPStatus.OK:
                answered_at, limit, interval = now, timings.silence_timeout, timings.probe_ready
                was_ready = True
                if self.supervised.mark_ready():
                    log.info("model server ready", pid=process.pid)
            elif status == HTTPStatus.SERVICE_UNAVAILABLE:
                return "the model server stalled"
            elif now - answered_at >= limit:
                return "the model server fell silent" if was_ready else f"the model server was not ready in {limit:g} s"
            if not (socket_path if was_ready else socket_path.parent).exists():
                return "the model server's socket is gone"
            await self.clock.sleep(interval)

    async def _probe(self, client: httpx.AsyncClient) -> int | None:
        """The status of /health; None if there is no answer within the probe's timeout."""
        try:
            async with self.clock.timeout(self.timings.probe_timeout):
                return (await client.get("http://localhost/health")).status_code
        except (httpx.HTTPError, TimeoutError):
            return None


def _is_private(folder: Path) -> bool:
    """Whether the folder is there, is ours, and is closed to others; somebody may have made another of its name."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not stat.S_IMODE(found.st_mode) & 0o077
