"""`parley serve-model` starts its engine again, passes signals on, and ends if another start would not help."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from bots.serve import Stop, serve
from core.clock import ManualClock, SystemClock
from core.engine.timings import TIMINGS
from tests.core.inference.options import server_arguments
from tests.core.inference.tiny import write_tiny_model

FAKE_CHILD = Path(__file__).parents[1] / "core/engine/fake_child.py"
FAKE = """
import os, signal, sys, time
from pathlib import Path
starts = Path(sys.argv[1])
with starts.open("a") as file:
    file.write(f"{os.getpid()} {os.environ.get('PARLEY_SERVER_KEY')} {os.environ.get('PARLEY_TELEGRAM__TOKEN')}\\n")
code = int(sys.argv[2])
if code >= 0:
    sys.exit(code)
signal.signal(signal.SIGTERM, (lambda *_: sys.exit(0)) if code == -1 else signal.SIG_IGN)
starts.with_name("ready").touch()
time.sleep(100)
"""


def fake(folder: Path, code: int) -> tuple[str, ...]:
    """A server that ends with a status; with -1 it serves, and with -2 it ignores SIGTERM."""
    return (sys.executable, "-I", "-c", FAKE, str(folder / "starts"), str(code))


def starts(folder: Path) -> list[str]:
    path = folder / "starts"
    return path.read_text().splitlines() if path.exists() else []


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


async def pausing(clock: ManualClock, pause: float) -> None:
    """Wait for the pause before the next start. While a server runs, its probes wait for the clock too."""
    while await clock.until_sleeping() != [pause]:
        await asyncio.sleep(0.01)


@asynccontextmanager
async def healthy_server(clock: ManualClock, folder: Path) -> AsyncIterator[list[EventDict]]:
    """A server that is ready, does what its file `mode` says, and ends in order. Yields what is logged."""
    stop = Stop()
    (folder / "mode").write_text("healthy")
    command = (sys.executable, "-I", str(FAKE_CHILD), "--data-dir", str(folder))
    with capture_logs() as logs:
        serving = asyncio.create_task(serve(command, clock, stop))
        await ready(clock, logs)
        yield logs
        stop.ask()
        assert await serving == 0


async def test_a_server_that_fails_is_started_again(tmp_path: Path) -> None:
    """After each failure the next start waits longer; a wish to stop ends the wait."""
    clock, stop = ManualClock(), Stop()
    serving = asyncio.create_task(serve(fake(tmp_path, 70), clock, stop))
    for count, pause in enumerate([0.5, 1.0, 2.0], start=1):
        await pausing(clock, pause)
        assert len(starts(tmp_path)) == count
        clock.advance(pause)
    await pausing(clock, 4.0)
    stop.ask()
    assert await serving == 0
    assert len(starts(tmp_path)) == 4


@pytest.mark.parametrize("code", [0, 2, 78])
async def test_an_end_that_a_restart_does_not_mend(tmp_path: Path, code: int) -> None:
    """An orderly end, wrong options and a bad configuration end the command with the same status."""
    assert await serve(fake(tmp_path, code), SystemClock(), Stop()) == code
    assert len(starts(tmp_path)) == 1


async def test_sigterm_is_passed_on(tmp_path: Path) -> None:
    """One SIGTERM lets the server finish; a second one ends a server that does not."""
    for code, asked, status in ((-1, 1, 0), (-2, 2, 128 + signal.SIGKILL)):
        stop, ready = Stop(), tmp_path / "ready"
        ready.unlink(missing_ok=True)
        serving = asyncio.create_task(serve(fake(tmp_path, code), SystemClock(), stop))
        await until(ready.exists)
        for _ in range(asked):
            stop.ask()
        assert await serving == status


async def test_the_server_sees_its_key_and_no_other_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of Parley's variables the server's environment has its own key only."""
    monkeypatch.setenv("PARLEY_SERVER_KEY", "key")
    monkeypatch.setenv("PARLEY_TELEGRAM__TOKEN", "hush")
    await serve(fake(tmp_path, 0), SystemClock(), Stop())
    assert [line.split()[1:] for line in starts(tmp_path)] == [["key", "None"]]


@pytest.mark.parametrize("mode", ["stalled", "mute"])
async def test_a_server_that_hangs_is_killed_and_started_again(tmp_path: Path, mode: str) -> None:
    """A server that reports a stall is killed at once, one that answers no probe after 30 seconds."""
    clock, now = ManualClock(), tmp_path / "mode"
    async with healthy_server(clock, tmp_path) as logs:
        now.write_text(mode)
        hung_at = clock.monotonic()
        await ended(clock, logs)
        assert (clock.monotonic() - hung_at >= TIMINGS.silence_timeout) == (mode == "mute")
        now.write_text("healthy")
        clock.advance(TIMINGS.restart.first)
        await ready(clock, logs, times=2)
    reasons = {"stalled": "the model server stalled", "mute": "the model server fell silent"}
    told = [(entry["code"], entry["reason"]) for entry in logs if entry["event"] == "model server ended"]
    assert told == [(-signal.SIGKILL, reasons[mode])]
    assert len(starts(tmp_path)) == 2


async def test_a_server_with_too_many_connections_is_not_killed(tmp_path: Path) -> None:
    """A 503 that does not report a stall, as to a connection too many, ends the server only if it is the only answer
    for 30 seconds.
    """
    clock, now = ManualClock(), tmp_path / "mode"
    async with healthy_server(clock, tmp_path) as logs:
        now.write_text("full")
        for _ in range(20):
            while TIMINGS.probe_ready not in await clock.until_sleeping():
                await asyncio.sleep(0.01)
            clock.advance(TIMINGS.probe_ready)
    assert "model server ended" not in [entry["event"] for entry in logs]


async def ready(clock: ManualClock, logs: list[EventDict], times: int = 1) -> None:
    """Advance the clock from probe to probe, until a server is ready."""
    while [entry["event"] for entry in logs].count("model server ready") < times:
        if TIMINGS.probe_starting in await clock.until_sleeping():
            clock.advance(TIMINGS.probe_starting)
        await asyncio.sleep(0)


async def ended(clock: ManualClock, logs: list[EventDict]) -> None:
    """Let time pass, probes that are not answered included, until the server has ended."""
    while "model server ended" not in [entry["event"] for entry in logs]:
        clock.advance((await clock.until_sleeping())[0])
        await asyncio.sleep(0.01)


def child_of(pid: int) -> int:
    (child,) = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return child


async def answers(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except httpx.HTTPError:
        return False


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    while not await check():
        await asyncio.sleep(0.05)


async def test_the_whole_command_survives_a_kill_of_its_engine(tmp_path: Path) -> None:
    """`python -m bots.serve` answers again after a `kill -9` of the server, and ends with 0 at SIGTERM."""
    (tmp_path / "model").mkdir()
    model, socket_path = write_tiny_model(tmp_path / "model"), tmp_path / "s"
    command = (sys.executable, "-m", "bots.serve", *server_arguments(model, tmp_path), "--uds", str(socket_path))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    transport = httpx.AsyncHTTPTransport(uds=str(socket_path))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            await eventually(lambda: answers(client))
            child = child_of(process.pid)
            os.kill(child, signal.SIGKILL)
            await until(lambda: not Path(f"/proc/{child}").exists())
            await eventually(lambda: answers(client))
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
