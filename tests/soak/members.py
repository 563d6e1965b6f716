"""The processes of a fleet, each of which may be killed and is started again as it was."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.processes import ROOT, clean_environment

PATIENCE = 60.0
"""Seconds that a process may take to be ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """How a process is started. `until_ready` waits until it serves."""

    name: str
    command: Sequence[str]
    until_ready: Callable[[asyncio.subprocess.Process], Awaitable[object]]
    settings: Mapping[str, str] = field(default_factory=dict)

    async def start(self, log: Path) -> asyncio.subprocess.Process:
        """A process that is ready. It is tried again if it ends at once, as a gateway does without its database."""
        async with asyncio.timeout(PATIENCE):
            while True:
                with log.open("ab") as output:
                    process = await asyncio.create_subprocess_exec(
                        *self.command,
                        cwd=ROOT,
                        env={**clean_environment(), **self.settings},
                        stdout=asyncio.subprocess.PIPE,
                        stderr=output,
                    )
                ready = asyncio.ensure_future(self.until_ready(process))
                ended = asyncio.ensure_future(process.wait())
                await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
                if ready.done() and not ended.done():
                    ended.cancel()
                    return process
                ready.cancel()
                await asyncio.sleep(0.1)


def gateway(number: int, folder: Path, settings: Mapping[str, str]) -> Member:
    own = {"PARLEY_DATA_DIR": str(folder / f"gateway-{number}"), "PARLEY_WEB__PORT": "0"}
    return Member(
        name=f"gateway {number}",
        command=(sys.executable, "-m", "bots", "run"),
        settings={**settings, **own},
        until_ready=_until_told,
    )


def model_server(number: int, folder: Path, port: int) -> Member:
    """A server of the embedded model on one thread."""
    return Member(
        name=f"model {number}",
        command=(sys.executable, "-m", "bots", "serve-model", "--port", str(port), "--threads", "1"),
        settings={"PARLEY_DATA_DIR": str(folder / f"model-{number}"), "PARLEY_ENGINE__CACHE_BYTES": str(16 << 20)},
        until_ready=lambda _: _until_healthy(f"http://127.0.0.1:{port}/health"),
    )


async def _until_told(process: asyncio.subprocess.Process) -> None:
    """Wait for the line that says what is on."""
    assert process.stdout is not None
    await process.stdout.readline()


async def _until_healthy(url: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                if (await client.get(url)).is_success:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.05)
