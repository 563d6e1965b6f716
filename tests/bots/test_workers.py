"""`parley serve-model --workers`: several servers on one machine."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bots.serve import Stop, serve_all
from bots.workers import PINNED, commands
from core.clock import SystemClock
from core.engine.child import SERVER
from core.engine.member import Member
from core.engine.openai import OpenAIEngine
from core.engine.several import open_several
from core.errors import ConfigError
from core.prompt import ChatMessage, Prompt
from tests.bots.test_serve import answers, eventually, until
from tests.core.inference.options import server_arguments
from tests.core.inference.tiny import write_tiny_model
from tests.options import server_with
from tests.ports import free_port

PROMPT: Prompt = (ChatMessage(role="user", content="Hi"),)
ENDS = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(float(sys.argv[2])); sys.exit(78)"


def test_without_workers_there_is_one_server_as_ever() -> None:
    """The command has the arguments as they are, and no affinity."""
    assert commands(["--port", "9", "--uds", "s"]) == [(*SERVER, "--port", "9", "--uds", "s", "--exit-with-parent")]


@pytest.mark.parametrize("option", [["--workers", "2"], ["--workers=2"]])
def test_each_worker_has_its_port_and_its_cpus(option: list[str]) -> None:
    """Two workers share the CPUs out and listen on --port and the next one; all other options are those of both."""
    made = commands(["--threads", "0", *option, "--port", "9000", "--host", "::1"], frozenset({0, 1}))
    others = ("--threads", "0", "--host", "::1", "--port")
    assert made == [
        (*PINNED, "0", *SERVER, *others, "9000", "--exit-with-parent"),
        (*PINNED, "1", *SERVER, *others, "9001", "--exit-with-parent"),
    ]


def test_free_ports_for_all() -> None:
    """Port 0 is a free one for each."""
    for command in commands(["--workers", "2", "--port", "0"], frozenset({0, 1})):
        assert command[command.index("--port") + 1] == "0"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--workers", "0"], "from 1"),
        (["--workers", "many"], "from 1"),
        (["--workers", "2", "--port", "x"], "from 1"),
        (["--workers", "2", "--uds", "s"], "--uds is one socket"),
        (["--workers", "3"], "2 CPUs only"),
    ],
)
def test_what_cannot_work_is_refused(arguments: list[str], reason: str) -> None:
    """A number that is none, a socket for all, and more workers than CPUs are refused with the option's name."""
    with pytest.raises(ConfigError, match=f"^--workers: .*{reason}"):
        commands(arguments, frozenset({0, 1}))


def test_if_one_ends_for_good_so_do_all(tmp_path: Path) -> None:
    """A server that another start would not mend ends the command with its status; the next one is not even started."""
    servers = [(sys.executable, "-I", "-c", ENDS, str(tmp_path / str(number)), "0") for number in range(2)]
    assert asyncio.run(serve_all(servers, SystemClock(), Stop())) == 78
    assert [path.name for path in tmp_path.iterdir()] == ["0"]


@pytest.mark.long
async def test_two_workers_survive_a_kill_of_one(tmp_path: Path) -> None:
    """Each runs on its own CPU and answers at its own port. If one is killed the other goes on, and it comes back."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one CPU only")
    (tmp_path / "model").mkdir()
    model, port = write_tiny_model(tmp_path / "model"), free_port()
    options = (*server_arguments(model, tmp_path), "--workers", "2", "--port", str(port))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bots.serve", *options, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with (
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as one,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port + 1}") as other,
        ):
            await eventually(lambda: answers(one))
            await eventually(lambda: answers(other))
            first, second = children_of(process.pid)
            assert len(os.sched_getaffinity(first) | os.sched_getaffinity(second)) == len(os.sched_getaffinity(0))
            assert not os.sched_getaffinity(first) & os.sched_getaffinity(second)
            os.kill(first, signal.SIGKILL)
            assert await answers(other)
            await until(lambda: not Path(f"/proc/{first}").exists())
            await eventually(lambda: answers(one))
        process.terminate()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()


@pytest.mark.long
async def test_a_server_that_is_stopped_finishes_its_replies(tmp_path: Path) -> None:
    """After SIGTERM the reply that a server writes goes on to its end, and the next one comes from another server."""
    (tmp_path / "model").mkdir()
    model = write_tiny_model(tmp_path / "model")
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(serving(model, tmp_path)) for _ in range(2)]
        engines = [OpenAIEngine(server_with(url=f"http://127.0.0.1:{port.number}/v1")) for port in ports]
        members = [Member(name=str(at), place=str(at), weight=1, engine=each) for at, each in enumerate(engines)]
        several = await stack.enter_async_context(open_several(members, SystemClock(), slots=8))
        async with several.stream(PROMPT, max_tokens=400, user="ann") as pieces:
            await anext(pieces)
            at = next(at for at, member in enumerate(members) if member.calls)
            ports[at].process.terminate()
            while members[at].is_up:
                async with several.stream(PROMPT, max_tokens=5, user="ann") as others:
                    assert [piece async for piece in others][-1].finish
            assert [piece async for piece in pieces][-1].finish
        assert await ports[at].process.wait() == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    number: int
    process: asyncio.subprocess.Process


@asynccontextmanager
async def serving(model: Path, folder: Path) -> AsyncIterator[Port]:
    """`parley serve-model` on a free port, once it answers."""
    port = free_port()
    command = (sys.executable, "-m", "bots.serve", *server_arguments(model, folder), "--port", str(port))
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await eventually(lambda: answers(client))
        yield Port(number=port, process=process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
