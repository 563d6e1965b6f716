"""The model server as a child that dies, hangs, is missing, and outlives nobody."""

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
from core.engine.supervisor import EX_CONFIG, TIMINGS, Timings, supervise
from core.errors import ConfigError, EngineLost, EngineUnavailable
from core.prompt import ChatMessage, Prompt
from tests.core.engine.options import model_child

FAKE = Path(__file__).with_name("fake_child.py")
PROMPT: Prompt = (ChatMessage(role="user", content="cinnamon"),)
CLOCK = SystemClock()
QUICK = Timings(restart=Backoff(first=0.01, longest=0.02), probe_starting=0.01, probe_ready=0.01)

MakeChild = Callable[[str], ModelChild]


@dataclass(slots=True)
class Journal:
    """What was logged."""

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
    """Keeps what is logged."""
    before = structlog.get_config()
    journal = Journal()
    structlog.configure(processors=[structlog.processors.add_log_level, journal.note])
    yield journal
    structlog.configure(**before)


@pytest.fixture
def make_child(tmp_path: Path) -> MakeChild:
    """Options for a fake child in some mode."""

    def make(mode: str) -> ModelChild:
        (tmp_path / "mode").write_text(mode)
        return model_child(tmp_path, grace_seconds=20, command=(sys.executable, "-I", str(FAKE)))

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
    """The context is entered before there is a server; each kind of call waits for it and is served."""
    async with open_local(make_child("healthy"), CLOCK, idle_seconds=30, timings=QUICK) as engine:
        assert not engine.child.socket_path.exists()
        assert await ask(engine) == "hello"
        assert await engine.count_tokens("x") == 3
        assert await engine.identity() == "fake"
        assert await engine.first_token(PROMPT) == {}


async def test_nobody_waits_beyond_the_bound(make_child: MakeChild) -> None:
    """While the child is still starting a call gives up after its time, and says that it starts."""
    clock = ManualClock()
    async with open_local(make_child("mute"), clock, idle_seconds=30, wait_seconds=60.5) as engine:
        call = asyncio.create_task(engine.identity())
        while 60.5 not in await clock.until_sleeping():
            await asyncio.sleep(0)
        clock.advance(60.5)
        with pytest.raises(EngineUnavailable, match="starting"):
            await call


async def test_a_child_that_dies_in_mid_reply_comes_back(make_child: MakeChild, journal: Journal) -> None:
    """The reply under way is lost; the next one is made by a new child."""
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
    """A child that says that it is stalled, or says nothing any more, is killed and started again."""
    async with open_local(make_child("healthy"), CLOCK, idle_seconds=30, timings=timings) as engine:
        await engine.wait_ready()
        make_child(mode)
        ended = await journal.until("model server ended")
        make_child("healthy")
        assert (ended["code"], ended["reason"]) == (-signal.SIGKILL, reason)
        assert not is_running(journal.of("model server started")[0]["pid"])
        await journal.until("model server ready", times=2)


async def test_a_missing_model_is_told_at_once_and_tried_again_slowly(make_child: MakeChild, journal: Journal) -> None:
    """Callers get the child's reason without waiting; the next start comes after the longest pause, and may succeed."""
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
    """Whenever the supervisor waits to look again let it look, until the child is ready."""
    seen = asyncio.create_task(journal.until("model server ready"))
    while not seen.done():
        if TIMINGS.probe_starting in await clock.until_sleeping():
            clock.advance(TIMINGS.probe_starting)
        await asyncio.sleep(0)


async def test_a_child_that_crashes_at_once_does_not_storm(make_child: MakeChild, journal: Journal) -> None:
    """Each start after a crash comes after a longer pause, and callers are told how it ended."""
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


async def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """A server that cannot be started at all is a reason like any other."""
    child = model_child(tmp_path, command=(str(tmp_path / "none"),))
    clock = ManualClock()
    async with supervise(child, clock) as supervised:
        assert await clock.until_sleeping() == [0.5]
        assert supervised.reason == "cannot start the model server: No such file or directory"


@pytest.mark.parametrize("mode", ["healthy", "mute", "missing"])
async def test_nothing_is_left_behind(make_child: MakeChild, journal: Journal, mode: str) -> None:
    """Leaving the context ends the child, whatever it was doing, and removes its socket and folder."""
    child = make_child(mode)
    async with supervise(child, CLOCK, QUICK) as supervised:
        folder = supervised.socket_path.parent
        assert folder.stat().st_mode & 0o777 == 0o700
        await journal.until("model server ended" if mode == "missing" else "model server started")
    assert not folder.exists()
    assert not any(is_running(entry["pid"]) for entry in journal.of("model server started"))


async def test_leaving_at_once_leaves_nothing_behind(make_child: MakeChild, journal: Journal) -> None:
    """A context left in the moment in which it was entered leaves no process either."""
    for turns in range(12):
        async with supervise(make_child("healthy"), CLOCK, QUICK) as supervised:
            for _ in range(turns):
                await asyncio.sleep(0)
        assert not supervised.socket_path.parent.exists()
    assert not any(is_running(entry["pid"]) for entry in journal.of("model server started"))


async def test_a_child_that_ignores_sigterm_is_killed(make_child: MakeChild, journal: Journal) -> None:
    """After its grace a child that does not go is killed."""
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
        cache_bytes=1 << 20,
        command=tuple(sys.argv[2:]),
    )
    async with open_local(child, SystemClock(), idle_seconds=30) as engine:
        await engine.wait_ready()
        print(engine.child.socket_path, file=sys.stderr)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_gateway_takes_its_child_with_it(make_child: MakeChild) -> None:
    """Kill -9 of the gateway ends the child, which sees its standard input end."""
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
    """The child has a session of its own: Ctrl-C reaches us alone, and replies under way are finished."""
    async with open_local(make_child("healthy"), CLOCK, idle_seconds=30, timings=QUICK) as engine:
        await engine.wait_ready()
        pid = journal.of("model server started")[0]["pid"]
        assert os.getsid(pid) == pid


async def test_the_child_does_not_see_our_settings(make_child: MakeChild, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, among them the keys of the platforms, stay out of the child's environment; the rest is passed on."""
    monkeypatch.setenv("PARLEY_TELEGRAM__TOKEN", "hush")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    child = make_child("healthy")
    async with open_local(child, CLOCK, idle_seconds=30, timings=QUICK) as engine:
        await engine.wait_ready()
    names = (child.data_dir / "environ").read_text().split()
    assert "OMP_NUM_THREADS" in names
    assert not [name for name in names if name.startswith("PARLEY_")]


async def test_a_temporary_folder_with_too_long_a_name(
    make_child: MakeChild, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that no Unix socket can have is a fault of the configuration, told before anything is started."""
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(ConfigError):
        async with supervise(make_child("healthy"), CLOCK):
            pass
    assert list(deep.iterdir()) == []


async def test_what_the_child_says_is_passed_on(journal: Journal) -> None:
    """Records of its log keep their level and values; other lines are quoted, and the last of them is remembered."""
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


async def test_a_line_without_end_is_cut(journal: Journal) -> None:
    """A child that never ends its line does not fill our memory."""
    stderr = asyncio.StreamReader()
    stderr.feed_data(b"x" * (10 * MAX_LINE_BYTES))
    stderr.feed_eof()
    assert len(await relay(stderr)) == MAX_LINE_BYTES
    assert len(journal.entries) == 1


def test_the_child_is_told_what_to_serve(tmp_path: Path) -> None:
    """The command line is the model server's, and asks it to end with us."""
    child = model_child(tmp_path, model="mini", threads=2, max_batch=3, dtype="bf16", cache_bytes=1 << 20)
    argv = child.argv(Path("/s"))
    assert argv[: len(child.command)] == (sys.executable, "-P", "-m", "core.inference")
    assert " ".join(argv[len(child.command) :]) == (
        f"--uds /s --model mini --data-dir {tmp_path} --threads 2 --max-batch 3 --dtype bf16"
        " --cache-bytes 1048576 --exit-with-parent"
    )
