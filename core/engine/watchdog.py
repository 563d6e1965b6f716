"""Probes the health of a model server on its Unix socket, and kills it if it hangs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp

from core.clock import Clock
from core.engine.child import kill
from core.engine.timings import Timings


async def watch(
    process: asyncio.subprocess.Process,
    socket_path: Path,
    clock: Clock,
    timings: Timings,
    on_ready: Callable[[], object],
) -> str:
    """Probe the server until it cannot be reached, stalls or falls silent, then kill it; the reason.

    `on_ready` is called when it answers for the first time.
    """
    connector, no_limit = aiohttp.UnixConnector(str(socket_path)), aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=no_limit) as session:
        reason = await _Watchdog(socket_path, session, clock, timings).until_lost(on_ready)
    kill(process)
    return reason


def reason_of_end(code: int, watching: asyncio.Task[str]) -> str:
    """Why a server ended, with an exit status: that of its watch, unless this was cancelled since the server had ended
    by itself.
    """
    return f"the model server ended with {code}" if watching.cancelled() else watching.result()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class _Watchdog:
    socket_path: Path
    session: aiohttp.ClientSession
    clock: Clock
    timings: Timings

    async def until_lost(self, on_ready: Callable[[], object]) -> str:
        timings, was_ready = self.timings, False
        answered_at, limit, interval = self.clock.monotonic(), timings.start_timeout, timings.probe_starting
        while True:
            answer = await self._probe()
            now = self.clock.monotonic()
            if answer and answer.status == HTTPStatus.OK:
                answered_at, limit, interval = now, timings.silence_timeout, timings.probe_ready
                if not was_ready:
                    on_ready()
                was_ready = True
            elif answer and _is_stall(answer):
                return "the model server stalled"
            elif now - answered_at >= limit:
                return "the model server fell silent" if was_ready else f"the model server was not ready in {limit:g} s"
            if not (self.socket_path if was_ready else self.socket_path.parent).exists():
                return "the model server's socket is gone"
            await self.clock.sleep(interval)

    async def _probe(self) -> _Answer | None:
        """The answer of /health; None if there is none within the probe's timeout."""
        try:
            async with (
                self.clock.timeout(self.timings.probe_timeout),
                self.session.get("http://localhost/health") as response,
            ):
                return _Answer(status=response.status, body=await response.read())
        except (aiohttp.ClientError, TimeoutError):
            return None


def _is_stall(answer: _Answer) -> bool:
    """Whether the server says so; it also answers 503 while it has too many connections."""
    return answer.status == HTTPStatus.SERVICE_UNAVAILABLE and b"stalled" in answer.body
