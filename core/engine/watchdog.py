"""Probes the health of a model server on its Unix socket, and kills it if it hangs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx

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
    transport = httpx.AsyncHTTPTransport(uds=str(socket_path), verify=False)  # a Unix socket has no TLS
    async with httpx.AsyncClient(transport=transport, timeout=httpx.Timeout(None), trust_env=False) as client:
        reason = await _Watchdog(socket_path, client, clock, timings).until_lost(on_ready)
    kill(process)
    return reason


def reason_of_end(code: int, watching: asyncio.Task[str]) -> str:
    """Why a server ended, with an exit status: that of its watch, unless this was cancelled since the server had ended
    by itself.
    """
    return f"the model server ended with {code}" if watching.cancelled() else watching.result()


@dataclass(frozen=True, slots=True)
class _Watchdog:
    socket_path: Path
    client: httpx.AsyncClient
    clock: Clock
    timings: Timings

    async def until_lost(self, on_ready: Callable[[], object]) -> str:
        timings, was_ready = self.timings, False
        answered_at, limit, interval = self.clock.monotonic(), timings.start_timeout, timings.probe_starting
        while True:
            answer = await self._probe()
            now = self.clock.monotonic()
            if answer and answer.status_code == HTTPStatus.OK:
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

    async def _probe(self) -> httpx.Response | None:
        """The answer of /health; None if there is none within the probe's timeout."""
        try:
            async with self.clock.timeout(self.timings.probe_timeout):
                return await self.client.get("http://localhost/health")
        except (httpx.HTTPError, TimeoutError):
            return None


def _is_stall(answer: httpx.Response) -> bool:
    """Whether the server says so; it also answers 503 while it has too many connections."""
    return answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE and b"stalled" in answer.content
