"""Keeps the model server running: it may hang, leak or be killed, and comes back."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx
import structlog

from core.clock import Clock
from core.engine.child import ModelChild, kill, relay, start, stopping
from core.errors import ConfigError, EngineUnavailable

log = structlog.get_logger()

EX_OSERR: Final = 71
EX_CONFIG: Final = 78
"""How the server exits when its model is missing or damaged: starting it again soon would not help."""
MAX_SOCKET_PATH_BYTES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the supervisor waits, in seconds.

    Between starts: `first_pause`, doubling up to `longest_pause`, and from the beginning again once the child served
    for `healthy`. Between looks at /health, each of which may take `answer`: `look_starting`, then `look_ready`. A
    child that says nothing for `silent`, or for `start` while it loads its model, is killed.
    """

    first_pause: float = 0.5
    longest_pause: float = 30.0
    healthy: float = 60.0
    look_starting: float = 0.1
    look_ready: float = 1.0
    answer: float = 5.0
    silent: float = 30.0
    start: float = 600.0

    def next_pause(self, pause: float, *, served: float, code: int) -> float:
        """The pause after a child that ended with `code`, having served for so long; `pause` was the last one."""
        if code == EX_CONFIG:
            return self.longest_pause
        if served >= self.healthy or not pause:
            return self.first_pause
        return min(2 * pause, self.longest_pause)


PATIENCE: Final = Patience()


class Supervised:
    """What is known of the child: that it is ready, or why it is not."""

    def __init__(self, socket_path: Path, clock: Clock) -> None:
        self.socket_path = socket_path
        self.reason = "starting"
        self._clock = clock
        self._ready_since: float | None = None
        self._settled = asyncio.Event()

    async def wait_ready(self, seconds: float) -> None:
        """EngineUnavailable where the child is not ready within `seconds`; at once where it cannot be."""
        try:
            async with self._clock.timeout(seconds):
                await self._settled.wait()
        except TimeoutError:
            raise EngineUnavailable(self.reason) from None
        if self._ready_since is None:
            raise EngineUnavailable(self.reason)

    def rise(self) -> bool:
        """The child answers; True if that is news."""
        if self._ready_since is not None:
            return False
        self._ready_since = self._clock.monotonic()
        self._settled.set()
        return True

    def fall(self, reason: str, *, hopeless: bool) -> float:
        """The child is gone; how long it served. Where there is no hope nobody is kept waiting."""
        served = 0.0 if self._ready_since is None else self._clock.monotonic() - self._ready_since
        self._ready_since, self.reason = None, reason
        if hopeless:
            self._settled.set()
        else:
            self._settled.clear()
        return served


@asynccontextmanager
async def supervise(child: ModelChild, clock: Clock, patience: Patience = PATIENCE) -> AsyncIterator[Supervised]:
    """Run the child until the context is left, and leave nothing behind. It is entered before the child is ready.

    The socket lies in a private folder with a short name, since the path of a Unix socket may hardly be longer than a
    hundred bytes.
    """
    with tempfile.TemporaryDirectory(prefix="parley-") as folder:
        socket_path = Path(folder) / "model"
        if len(bytes(socket_path)) > MAX_SOCKET_PATH_BYTES:
            raise ConfigError("TMPDIR", "its path is too long for a Unix socket")
        supervised = Supervised(socket_path, clock)
        keeper = asyncio.create_task(_Keeper(child, supervised, clock, patience).keep())
        try:
            yield supervised
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])


@dataclass(frozen=True, slots=True)
class _Keeper:
    child: ModelChild
    supervised: Supervised
    clock: Clock
    patience: Patience

    async def keep(self) -> None:
        """Start the child again and again."""
        pause = 0.0
        transport = httpx.AsyncHTTPTransport(uds=str(self.supervised.socket_path))
        async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None), trust_env=False) as client:
            while True:
                code, reason = await self._run(client)
                served = self.supervised.fall(reason, hopeless=code == EX_CONFIG)
                pause = self.patience.next_pause(pause, served=served, code=code)
                log.warning("model server ended", code=code, reason=reason, served=round(served, 1), pause=pause)
                await self.clock.sleep(pause)

    async def _run(self, client: httpx.AsyncClient) -> tuple[int, str]:
        """One life of the child: the code it ended with, and why it ended."""
        self.supervised.socket_path.unlink(missing_ok=True)
        try:
            process = await start(self.child, self.supervised.socket_path)
        except OSError as error:
            return EX_OSERR, f"cannot start the model server: {error.strerror}"
        assert process.stderr is not None
        log.info("model server started", pid=process.pid, model=self.child.model)
        async with asyncio.TaskGroup() as tasks, stopping(process, self.child.grace_seconds, self.clock):
            said = tasks.create_task(relay(process.stderr))
            watch = tasks.create_task(self._watch(process, client))
            code = await process.wait()
            watch.cancel()
        if not watch.cancelled():
            return code, watch.result()
        return code, (code == EX_CONFIG and said.result()) or f"the model server ended with {code}"

    async def _watch(self, process: asyncio.subprocess.Process, client: httpx.AsyncClient) -> str:
        """Look at the child's health until there is reason to kill it; kill it and say why."""
        heard, limit = self.clock.monotonic(), self.patience.start
        while True:
            status = await self._ask_health(client)
            now = self.clock.monotonic()
            if status == HTTPStatus.OK:
                heard, limit = now, self.patience.silent
                if self.supervised.rise():
                    log.info("model server ready", pid=process.pid)
            elif status == HTTPStatus.SERVICE_UNAVAILABLE or now - heard >= limit:
                kill(process)
                return "the model server stalled" if status else "the model server fell silent"
            await self.clock.sleep(
                self.patience.look_starting if limit == self.patience.start else self.patience.look_ready
            )

    async def _ask_health(self, client: httpx.AsyncClient) -> int | None:
        """The status of /health, or None where nobody answers soon."""
        try:
            async with self.clock.timeout(self.patience.answer):
                return (await client.get("http://localhost/health")).status_code
        except (httpx.HTTPError, TimeoutError):
            return None
