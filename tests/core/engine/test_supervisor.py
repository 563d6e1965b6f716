"""Supervision of a model server that dies, hangs or has no model, and that never outlives its parent."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.backoff import Backoff
from core.clock import ManualClock, SystemClock
from core.engine.child import MAX_LINE_BYTES, ModelChild, relay
from core.engine.local import LocalEngine, open_local
from core.engine.supervisor import supervise
from core.engine.timings import EX_CONFIG, TIMINGS, Timings
from core.errors import ConfigError, EngineLost, EngineUnavailable
from core.prompt import ChatMessage, Prompt
from tests.options import child_with

FAKE = Path(__file__).with_name("fake_child.py")
PROMPT: Prompt = (ChatMessage(role="user", content="cinnamon"),)
CLOCK = SystemClock()
QUICK = Timings(restart=Backoff(first=0.01, longest=0.02), probe_starting=0.01, probe_ready=0.01)

MakeChild = Callable[[str], ModelChild]


@dataclass(slots=True)
class Journal:
    """Records log entries."""

    entries: list[MutableMapping[str, Any]] = field(default_factory=list)
    written: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, _logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        self.entries.append(entry)
        self.written.set()
        raise structlog.DropEvent

    def of(self, event: str) -> list[MutableMapping[str, Any]]:
        return [entry for entry in self.entries if entry["event"] == event]

    async def until(self, event: str, *, times: int = 1) -> MutableMapping[str, Any]:
        while len(self.of(event)) < times:
            self.written.clear()
            await self.written.wait()
        return self.of(event)[times - 1]


@pytest.fixture
def journal() -> Iterator[Journal]:
    """Records the log of a test."""
    before = structlog.get_config()
    journal = Journal()
    structlog.configure(processors=[structlog.processors.add_log_level, journal.note])
    yield journal
    structlog.configure(**before)


@pytest.fixture
def make_child(tmp_path: Path) -> MakeChild:
    """Options of a fake child, and the fault `mode` it is to have."""

    def make(mode: str) -> ModelChild:
        (tmp_path / "mode").write_text(mode)
        return child_with(data_dir=tmp_path, grace_seconds=20, command=(sys.executable, "-I", str(FAKE)))

    return make


def starts(child: ModelChild) -> list[int]:
    return [int(pid) for pid in (child.data_dir / "starts").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def ask(engine: LocalEngine) -> str:
    async with engine.stream(PROMPT, max_tokens=9) as pieces:
        return "".join([piece.text async for piece in pieces])


async def test_calls_wait_until_the_child_is_ready(make_child: MakeChild) -> None:
    """The context is entered before the child is ready; each kind of call waits for it and is answered."""
    async with open_local(make_child("healthy"), CLOCK, idle_seconds=30, timings=QUICK) as engine:
        assert not engine.child.socket_path.exists()
        assert await ask(engine) == "hello"
        assert await engine.count_tokens("x") == 3
        assert await engine.identity() == "fake"
        assert await engine.first_token(PROMPT) == {}


async def test_a_call_waits_no_longer_than_its_bound(make_child: MakeChild) -> None:
    """While the child is still starting, a call raises EngineUnavailable("starting") after `wait_seconds`."""
    clock = ManualClock()
    async with open_local(make_child("mute"), clock, idle_seconds=30, wait_seconds=60.5) as engine:
        call = asyncio.create_task(engine.identity())
        while 60.5 not in await clock.until_sleeping():
            await asyncio.sleep(0)
        clock.advance(60.5)
        with pytest.raises(EngineUnavailable, match="starting"):
            await call


async def test_a_child_that_dies_during_a_reply_is_restarted(make_child: MakeChild, journal: Journal) -> None:
    """The current reply raises EngineLost; a new child writes the next one."""
    child = make_child("dies")
    async with open_local(child, CLOCK, idle_seconds=30, timings=QUICK) as engine:
        await engine.wait_ready()
        make_child("healthy")
        with pytest.raises(EngineLost):
            await ask(engine)
        await journal.until("model server ready", times=2)
        assert await ask(engine) == "hello"
    assert journal.of("model server ended")[0]["code"] == -signal.SIGKILL


@pytest.mark.parametrize(
    ("mode", "timings", "reason"),
    [
        ("stalled", QUICK, "the model server stalled"),
        ("mute", replace(QUICK, probe_timeout=0.05, silence_timeout=0.1), "the model server fell silent"),
    ],
)
async def test_a_child_that_hangs_is_killed(
    make_child: MakeChild, journal: Journal, mode: str, timings: Timings, reason: str
) -> None:
    """A child that reports a stall, or no longer answers, is killed and restarted."""
    async with open_local(make_child("healthy"), CLOCK, idle_seconds=30, timings=timings) as engine:
        await engine.wait_ready()
        make_child(mode)
        ended = await journal.until("model server ended")
        make_child("healthy")
        assert (ended["code"], ended["reason"]) == (-signal.SIGKILL, reason)
        assert not is_running(journal.of("model server started")[0]["pid"])
        await journal.until("model server ready", times=2)


def replace_folder(folder: Path, by: str) -> None:
    """Put something else in the place of a folder."""
    shutil.rmtree(folder)
    if by == "open folder":
        folder.mkdir()
        folder.chmod(0o777)
    elif by == "folder of another user":
        folder.mkdir(mode=0o700)
        os.chown(folder, os.getuid() + 1, -1)
    elif by == "link":
        aside = folder.with_suffix(".aside")
        aside.mkdir(mode=0o700)
        folder.symlink_to(aside)
    elif by == "file":
        folder.touch(mode=0o600)


@pytest.mark.parametrize(
    "gone",
    [
        "socket",
        "folder",
        *("open folder", "link", "file"),
        pytest.param(
            "folder of another user", marks=pytest.mark.skipif(os.getuid() != 0, reason="root can give it away")
        ),
    ],
)
async def test_a_child_whose_socket_is_gone_is_restarted(
    make_child: MakeChild, journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    """If the folder or the socket of the child is deleted, another child is started where it can be reached. What
    somebody may have put in the folder's place is not used.
    """
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with open_local(make_child("healthy"), CLOCK, idle_seconds=30, timings=QUICK) as engine:
        await engine.wait_ready()
        before = engine.child.socket_path
        before.unlink() if gone == "socket" else replace_folder(before.parent, by=gone)
        assert (await journal.until("model server ended"))["reason"] == "the model server's socket is gone"
        await journal.until("model server ready", times=2)
        assert await ask(engine) == "hello"
        assert (engine.child.socket_path == before) == (gone == "socket")
        assert engine.child.socket_path.parent.stat().st_mode & 0o777 == 0o700
    assert not engine.child.socket_path.parent.exists()


async def test_a_child_whose_folder_is_gone_while_it_starts_is_restarted(
    make_child: MakeChild, journal: Journal
) -> None:
    """A child that can never be reached is killed at once, not after its time to start."""
    async with supervise(make_child("mute"), CLOCK, replace(QUICK, probe_timeout=0.05)) as supervised:
        while not supervised.socket_path.exists():
            await asyncio.sleep(0.01)
        shutil.rmtree(supervised.socket_path.parent)
        assert (await journal.until("model server ended"))["reason"] == "the model server's socket is gone"


async def test_a_child_that_is_never_ready_is_killed(make_child: MakeChild, journal: Journal) -> None:
    """A child that does not answer within its time to start is killed, with a reason, and started again."""
    timings = replace(QUICK, probe_timeout=0.05, start_timeout=0.2)
    async with supervise(make_child("mute"), CLOCK, timings) as supervised:
        ended = await journal.until("model server ended")
        assert (ended["code"], ended["reason"]) == (-signal.SIGKILL, "the model server was not ready in 0.2 s")
        assert supervised.reason == ended["reason"]
        await journal.until("model server started", times=2)


async def test_a_missing_model_fails_calls_at_once_and_is_retried_slowly(
    make_child: MakeChild, journal: Journal
) -> None:
    """Callers get the child's reason without waiting; the next start follows after the longest pause."""
    clock, child = ManualClock(), make_child("missing")
    async with open_local(child, clock, idle_seconds=30) as engine:
        with pytest.raises(EngineUnavailable, match="parley: models/x: there is no model"):
            await engine.identity()
        assert (await journal.until("model server ended"))["code"] == EX_CONFIG
        assert await clock.until_sleeping() == [TIMINGS.restart.longest]
        make_child("healthy")
        with pytest.raises(EngineUnavailable):
            await engine.identity()
        clock.advance(TIMINGS.restart.longest)
        await ready(journal, clock)
        assert await ask(engine) == "hello"
    assert len(starts(child)) == 2


async def ready(journal: Journal, clock: ManualClock) -> None:
    """Advance the clock by one probe interval at a time, until the child is ready."""
    seen = asyncio.create_task(journal.until("model server ready"))
    while not seen.done():
        if TIMINGS.probe_starting in await clock.until_sleeping():
            clock.advance(TIMINGS.probe_starting)
        await asyncio.sleep(0)


async def test_restarts_after_crashes_back_off(make_child: MakeChild, journal: Journal) -> None:
    """Each restart after a crash waits longer, and callers get the exit status as the reason."""
    clock, child = ManualClock(), make_child("crashes")
    async with open_local(child, clock, idle_seconds=30, wait_seconds=1000) as engine:
        for times, pause in enumerate([0.5, 1.0, 2.0], start=1):
            assert (await journal.until("model server ended", times=times))["pause"] == pause
            assert await clock.until_sleeping() == [pause]
            clock.advance(pause)
        call = asyncio.create_task(engine.identity())
        await journal.until("model server ended", times=4)
        clock.advance(1000)
        with pytest.raises(EngineUnavailable, match="the model server ended with 1"):
            await call


@pytest.mark.parametrize(
    ("failures", "served", "code", "pause"),
    [(0, 0, 1, 0.5), (1, 0, -9, 1), (6, 59, 1, 30), (9, 0, 1, 30), (9, 60, 1, 0.5), (0, 100, EX_CONFIG, 30)],
)
def test_pauses_double_up_to_a_limit(failures: int, served: float, code: int, pause: float) -> None:
    """A child that was ready for a minute resets the back-off; one with a bad configuration waits the longest pause."""
    assert TIMINGS.restart_pause(TIMINGS.count_failures(failures, served=served), code=code) == pause


async def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    """A server that cannot be started is reported as a reason and retried with back-off."""
    child = child_with(data_dir=tmp_path, command=(str(tmp_path / "none"),))
    clock = ManualClock()
    async with supervise(child, clock) as supervised:
        assert await clock.until_sleeping() == [0.5]
        assert supervised.reason == "cannot start the model server: No such file or directory"


@pytest.mark.parametrize("mode", ["healthy", "mute", "missing"])
async def test_nothing_is_left_behind(make_child: MakeChild, journal: Journal, mode: str) -> None:
    """Leaving the context ends the child, in every state, and removes its socket and folder."""
    child = make_child(mode)
    async with supervise(child, CLOCK, QUICK) as supervised:
        folder = supervised.socket_path.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        await journal.until("model server ended" if mode == "missing" else "model server started")
    assert not folder.exists()
    assert not any(is_running(entry["pid"]) for entry in journal.of("model server started"))


async def test_leaving_at_once_leaves_nothing_behind(make_child: MakeChild, journal: Journal) -> None:
    """A context left within the first event loop turns leaves no process either."""
    for turns in range(12):
        async with supervise(make_child("healthy"), CLOCK, QUICK) as supervised:
            for _ in range(turns):
                await asyncio.sleep(0)
        assert not supervised.socket_path.parent.exists()
    assert not any(is_running(entry["pid"]) for entry in journal.of("model server started"))


async def test_a_child_that_ignores_sigterm_is_killed(make_child: MakeChild, journal: Journal) -> None:
    """A child that still runs after its grace period is killed."""
    child = replace(make_child("stubborn"), grace_seconds=0.01)
    async with open_local(child, CLOCK, idle_seconds=30, timings=QUICK) as engine:
        await engine.wait_ready()
    assert not is_running(journal.of("model server started")[0]["pid"])


GATEWAY = """
import asyncio, sys
from pathlib import Path
from core.clock import SystemClock
from core.engine.child import ModelChild
from core.engine.local import open_local

async def main():
    child = ModelChild(
        data_dir=Path(sys.argv[1]),
        model="mini",
        threads=0,
        max_batch=8,
        dtype="auto",
        kv_dtype="auto",
        cache_bytes=1 << 20,
        memory_bytes=0,
        command=tuple(sys.argv[2:]),
    )
    async with open_local(child, SystemClock(), idle_seconds=30) as engine:
        await engine.wait_ready()
        print(engine.child.socket_path, file=sys.stderr)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_the_child_of_a_killed_gateway_exits(make_child: MakeChild) -> None:
    """The child exits after a `kill -9` of the gateway, because its standard input closes."""
    child = make_child("stubborn")
    gateway = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", GATEWAY, str(child.data_dir), *child.command),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert gateway.stderr is not None
    try:
        socket_path = Path((await gateway.stderr.readline()).decode().strip())
        reader, writer = await asyncio.open_unix_connection(socket_path)
    finally:
        gateway.kill()
        await gateway.wait()
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    writer.close()
    shutil.rmtree(socket_path.parent)


async def test_the_terminal_cannot_interrupt_the_child(make_child: MakeChild, journal: Journal) -> None:
    """The child has a session of its own, so that Ctrl-C does not reach it and current replies finish."""
    async with open_local(make_child("healthy"), CLOCK, idle_seconds=30, timings=QUICK) as engine:
        await engine.wait_ready()
        pid = journal.of("model server started")[0]["pid"]
        assert os.getsid(pid) == pid


async def test_the_child_does_not_see_our_settings(make_child: MakeChild, monkeypatch: pytest.MonkeyPatch) -> None:
    """PARLEY_ variables, which hold the platforms' secrets, are removed from the child's environment; others remain."""
    monkeypatch.setenv("PARLEY_TELEGRAM__TOKEN", "hush")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    child = make_child("healthy")
    async with open_local(child, CLOCK, idle_seconds=30, timings=QUICK) as engine:
        await engine.wait_ready()
    names = (child.data_dir / "environ").read_text().split()
    assert "OMP_NUM_THREADS" in names
    assert not [name for name in names if name.startswith("PARLEY_")]


async def test_a_temporary_folder_with_too_long_a_path(
    make_child: MakeChild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path too long for a Unix socket raises ConfigError before a child is started."""
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(ConfigError):
        async with supervise(make_child("healthy"), CLOCK):
            pass
    assert list(deep.iterdir()) == []


async def test_the_log_of_the_child_is_relayed(journal: Journal) -> None:
    """Log records keep their level and values; other lines are quoted, and the last of them is returned."""
    stderr = asyncio.StreamReader()
    stderr.feed_data(b'{"event": "model loaded", "level": "error", "timestamp": "t", "threads": 2}\nparley: no mo')
    stderr.feed_data("del 模型\n\n".encode() + b'{"event": "bye"}\n[1]')
    stderr.feed_eof()
    assert await relay(stderr) == "[1]"
    assert journal.entries == [
        {"event": "model loaded", "level": "error", "process": "model", "threads": 2},
        {"event": "the model server says", "level": "warning", "line": "parley: no model 模型"},
        {"event": "bye", "level": "info", "process": "model"},
        {"event": "the model server says", "level": "warning", "line": "[1]"},
    ]


async def test_the_progress_of_the_child_is_passed_on(journal: Journal) -> None:
    """How far the child is in converting weights is passed on, and stands in no log."""
    stderr, told = asyncio.StreamReader(), list[tuple[int, int]]()
    stderr.feed_data(b'{"progress": [1, 4]}\n{"progress": [4, 4]}\n')
    stderr.feed_eof()
    assert await relay(stderr, lambda done, total: told.append((done, total))) == ""
    assert told == [(1, 4), (4, 4)]
    assert journal.entries == []


async def test_a_line_over_the_size_limit_is_cut(journal: Journal) -> None:
    """A line that never ends is cut at a limit, so that it cannot fill the memory."""
    stderr = asyncio.StreamReader()
    stderr.feed_data(b"x" * (10 * MAX_LINE_BYTES))
    stderr.feed_eof()
    assert len(await relay(stderr)) == MAX_LINE_BYTES
    assert len(journal.entries) == 1


async def test_an_unexpected_fault_costs_one_child(make_child: MakeChild, journal: Journal) -> None:
    """What nobody expects in supervising a child ends it, is told, and the next child is started."""
    clock = Faulty(faults=1)
    async with open_local(make_child("healthy"), clock, idle_seconds=30, timings=QUICK) as engine:
        ended = await journal.until("model server ended")
        assert (ended["code"], ended["reason"].partition(" at ")[0]) == (70, "unexpected: RuntimeError")
        assert await ask(engine) == "hello"


@dataclass(slots=True, kw_only=True)
class Faulty(SystemClock):
    """A clock that fails in the first waits of the watch."""

    faults: int

    async def sleep(self, seconds: float) -> None:
        if self.faults and seconds == QUICK.probe_starting:
            self.faults -= 1
            raise RuntimeError
        await super(Faulty, self).sleep(seconds)


async def test_a_socket_needs_no_certificates(make_child: MakeChild, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child is watched and asked although the environment names certificates that are not there."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/certificates.pem")
    async with open_local(make_child("healthy"), CLOCK, idle_seconds=30, timings=QUICK) as engine:
        assert await ask(engine) == "hello"


def test_the_command_line_of_the_child(tmp_path: Path) -> None:
    """The command line names every option of the model server and asks it to exit with its parent."""
    child = child_with(
        data_dir=tmp_path, model="mini", threads=2, max_batch=3, dtype="bf16", kv_dtype="fp16", cache_bytes=1 << 20
    )
    argv = child.argv(Path("/s"))
    assert argv[: len(child.command)] == (sys.executable, "-P", "-m", "core.inference")
    assert " ".join(argv[len(child.command) :]) == (
        f"--uds /s --model mini --data-dir {tmp_path} --threads 2 --max-batch 3 --dtype bf16"
        " --kv-dtype fp16 --cache-bytes 1048576 --memory-bytes 0 --exit-with-parent --tell-progress"
    )


async def test_a_child_that_is_not_ready_has_nothing_to_forget(make_child: MakeChild) -> None:
    """Before the child is ready, forgetting is done at once."""
    async with open_local(make_child("mute"), ManualClock(), idle_seconds=30) as engine:
        assert await engine.forget(["ann"])


async def test_a_scrape_does_not_wait_for_the_child(make_child: MakeChild) -> None:
    """Before the child is ready, a look for its metrics fails at once."""
    async with open_local(make_child("mute"), ManualClock(), idle_seconds=30) as engine:
        with pytest.raises(EngineUnavailable):
            await engine.metrics()
