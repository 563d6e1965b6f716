"""The database's server restarts, crashes, is away, or is replaced by its standby, while people write on Telegram."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from config.settings import StoreSettings
from core.store import open_store
from tests.bots.gateway import Plan, whole_answer
from tests.bots.telegram.test_crashes import MODES, ROOM, answer, apologies, ask, is_settled, remembered
from tests.fakes.telegram.control import Account
from tests.faults.cluster import Mode, Server, open_servers
from tests.faults.fork_server import ForkServer
from tests.ports import free_port

pytestmark = pytest.mark.long
AWAY = 30.0
"""Seconds for which a server is away, which its client's timeouts are shorter than."""
PAUSE = 0.05
"""Seconds between two messages."""
MORE_MEMORY = 16 << 10
"""KiB that a gateway may take more after a fault than before."""
Fault: TypeAlias = Callable[[int], Awaitable[None]]
"""What happens to the server of a gateway with a process id while people write."""


@pytest.fixture
def server() -> Iterator[Server]:
    with open_servers() as opened:
        yield opened


class Case:
    """A gateway whose people write all the time."""

    def __init__(self, account: Account, fork_server: ForkServer, folder: Path, *, mode: str, database: str) -> None:
        port = free_port()
        settings = {"token": account.token, "base_url": account.base_url, "mode": mode}
        settings["webhook_url"] = f"http://127.0.0.1:{port}"
        self._plan = Plan(platform="telegram", settings=settings, port=port, database=database)
        self._account, self._fork_server, self._log = account, fork_server, folder / "log"
        self._asked: list[tuple[int, str]] = []

    async def live(self, fault: Fault) -> None:
        """A life with a fault in its middle. Each message is answered once, and is in the history once."""
        pid = await self._fork_server.start(self._plan, self._log)
        await self._settle(await self._ask(3))
        writing = asyncio.create_task(self._write())
        await fault(pid)
        writing.cancel()
        await asyncio.wait([writing])
        await self._settle(await self._ask(3))
        await self._settle([word for _, word in self._asked])
        os.kill(pid, signal.SIGTERM)
        assert await self._fork_server.wait(pid) == 0, self._log.read_text()
        journal = await self._account.journal()
        for _, word in self._asked:
            assert "\n".join(answer(journal, word).values()) == whole_answer(word)
        assert not apologies(journal)
        assert (await self._account.state())["pending"] == 0
        assert await remembered(self._plan.database, self._account) == sorted(self._asked)

    async def _settle(self, words: Sequence[str]) -> None:
        await self._account.until(lambda journal: is_settled(journal, words))

    async def _ask(self, count: int) -> list[str]:
        chance = random.Random(len(self._asked))
        for _ in range(count):
            word, chat = f"w{len(self._asked)}x1", chance.choice((5, 6, ROOM))
            await ask(self._account, word, chat)
            self._asked.append((chat, word))
        return [word for _, word in self._asked[-count:]]

    async def _write(self) -> None:
        for _ in range(40):
            await self._ask(1)
            await asyncio.sleep(PAUSE)


def status_of(pid: int) -> dict[str, int]:
    """The numbers in what the system tells of a process."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    words = [line.replace(":", "").split() for line in lines]
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdigit()}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("how", ["fast", "immediate"])
async def test_a_server_that_restarts_loses_nothing(
    account: Account, fork_server: ForkServer, tmp_path: Path, server: Server, *, how: Mode, mode: str
) -> None:
    """Whether it stops in order or crashes, each message is answered once when it is back."""

    async def restart(_pid: int) -> None:
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.stop, how)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(server.start)
        await asyncio.sleep(0.5)

    await Case(account, fork_server, tmp_path, mode=mode, database=server.url).live(restart)


@pytest.mark.parametrize("mode", MODES)
async def test_connections_that_are_ended_lose_nothing(
    account: Account, fork_server: ForkServer, tmp_path: Path, server: Server, mode: str
) -> None:
    """An administrator ends connections at random, thirty times."""
    victims = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    one = f"SELECT pg_terminate_backend(pid) FROM ({victims} ORDER BY random() LIMIT 1) AS chosen"

    async def end_connections(_pid: int) -> None:
        for _ in range(30):
            await asyncio.to_thread(server.ask, one)
            await asyncio.sleep(PAUSE)

    await Case(account, fork_server, tmp_path, mode=mode, database=server.url).live(end_connections)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", MODES)
async def test_a_server_that_is_away_for_long_is_waited_for(
    account: Account, fork_server: ForkServer, tmp_path: Path, server: Server, mode: str
) -> None:
    """Telegram keeps what is written meanwhile, and the gateway needs neither more threads nor more memory."""

    async def stay_away(pid: int) -> None:
        await asyncio.sleep(0.5)
        before = status_of(pid)
        await asyncio.to_thread(server.stop, "immediate")
        await asyncio.sleep(AWAY)
        after = status_of(pid)
        assert (await account.state())["pending"] > 0
        assert after["Threads"] <= before["Threads"] + 1
        assert after["VmRSS"] <= before["VmRSS"] + MORE_MEMORY
        await asyncio.to_thread(server.start)
        await asyncio.sleep(0.5)

    await Case(account, fork_server, tmp_path, mode=mode, database=server.url).live(stay_away)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", MODES)
async def test_a_standby_takes_over(
    account: Account, fork_server: ForkServer, tmp_path: Path, server: Server, mode: str
) -> None:
    """With a synchronous standby, each message that was acknowledged is answered once by the server that is left."""
    standby = await asyncio.to_thread(server.standby)

    async def fail_over(_pid: int) -> None:
        await asyncio.sleep(0.5)
        server.kill()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(standby.promote)
        await asyncio.sleep(0.5)

    both = f"postgresql://parley@{server.address},{standby.address}/postgres?target_session_attrs=read-write"
    database = StoreSettings.model_validate({"url": both}).url.get_secret_value()
    await Case(account, fork_server, tmp_path, mode=mode, database=database).live(fail_over)
    async with open_store(database):
        assert standby.ask("SELECT pg_is_in_recovery()") == "f"
