"""Several processes of `parley run` with one PostgreSQL database, a data folder each, and real time."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from core.engine.scripted import ScriptedEngine
from tests.bots.gateway import Note
from tests.bots.test_run import Operator, on_telegram
from tests.core.engine.fake_server import serving
from tests.fakes.telegram.control import Account, run_telegram
from tests.fakes.telegram.journal import Entry

IN_TIME = 15.0
"""Seconds after which a message is answered at the latest if the gateway that fetches them has ended."""


@pytest.fixture(scope="module")
def telegram_address() -> Iterator[str]:
    with run_telegram() as address:
        yield address


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A gateway."""

    process: asyncio.subprocess.Process
    client: httpx.AsyncClient

    async def standing_by(self) -> bool | None:
        """Whether another gateway fetches; None as long as this one does not answer."""
        try:
            telegram = (await self.client.get("/ready")).json()["platforms"]["telegram"]
        except httpx.TransportError:
            return None
        return bool(telegram["standing_by"])

    async def until(self, *, standing_by: bool) -> None:
        while await self.standing_by() is not standing_by:
            await asyncio.sleep(0.1)


@asynccontextmanager
async def gateway(operator: Operator) -> AsyncIterator[Running]:
    process = await operator.start("run")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{operator.port}", trust_env=False) as client:
        try:
            yield Running(process=process, client=client)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
            await process.communicate()


def answered(journal: list[Entry], word: str) -> list[Entry]:
    """The answers to a message, which end with what stands under each of them."""
    edits = [entry for entry in journal if entry["do"] in {"send", "edit"} and entry["buttons"]]
    return [entry for entry in edits if f"you said {word}" in entry["text"]]


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
async def test_another_gateway_takes_over_in_time(
    tmp_path: Path, account: Account, empty_postgresql: str, how: signal.Signals, record_property: Note
) -> None:
    """What is written just when the gateway that fetches is killed, stopped or ended is answered in time, and once."""
    engine = ScriptedEngine.replying(lambda prompt: f"you said {prompt[-1].content.split()[0]}")
    async with serving(engine) as url, AsyncExitStack() as stack:
        shared = {"PARLEY_ENGINE__URL": url, "PARLEY_STORE__URL": empty_postgresql, **on_telegram(account)}
        first = await stack.enter_async_context(gateway(Operator(tmp_path / "a", **shared)))
        await first.until(standing_by=False)
        await account.say("before", person=5)
        await account.until(lambda journal: answered(journal, "before"))
        second = await stack.enter_async_context(gateway(Operator(tmp_path / "b", **shared)))
        await second.until(standing_by=True)

        first.process.send_signal(how)
        begun = time.monotonic()
        await account.say("hello", person=6)
        await account.until(lambda journal: answered(journal, "hello"))
        record_property(f"seconds after {how.name}", took := round(time.monotonic() - begun, 1))
        assert took < IN_TIME
        assert not await second.standing_by()

        if how is signal.SIGSTOP:
            os.kill(first.process.pid, signal.SIGCONT)
            await first.until(standing_by=True)
        await account.say("after", person=7)
        journal = await account.until(lambda journal: answered(journal, "after"))
    assert [len(answered(journal, word)) for word in ("before", "hello", "after")] == [1, 1, 1]
