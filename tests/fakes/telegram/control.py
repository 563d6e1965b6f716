"""The client that tests use for the fake Telegram: start it, create bots, act as people, read the journal."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

import httpx

from tests.fakes.telegram.journal import Entry
from tests.fakes.telegram.world import Json

ROOT = Path(__file__).parents[3]
NUMBERS = count(1)
PATIENCE = 30.0

SPEED = 20.0
"""The factor by which the clocks of the bot and of the fake Telegram are faster than the tests'."""


@contextmanager
def run_telegram(journal: Path | None = None, *, speed: float = 1.0) -> Iterator[str]:
    """Run a fake in a process of its own. Yields its address."""
    command = [sys.executable, "-m", "tests.fakes.telegram", "--speed", str(speed)]
    command += ["--journal", str(journal)] if journal else []
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()
            process.wait()


class Account:
    """One bot's account, with the actions of the people who talk to it."""

    def __init__(self, http: httpx.AsyncClient, number: int) -> None:
        self.id = 7_000 + number
        self.token = f"{self.id}:canary-{number}-of-the-token"
        self.username = f"Parley{number}Bot"
        self._http = http

    @property
    def base_url(self) -> str:
        return str(self._http.base_url).rstrip("/")

    async def say(self, text: str = "", *, person: int | Json = 1, **given: object) -> Json:
        return await self._act("say", text=text, person=person, **given)

    async def edit(self, chat: int, message: int, text: str = "", **given: object) -> Json:
        return await self._act("edit", chat=chat, message=message, text=text, **given)

    async def press(self, chat: int, message: int, data: str, *, person: int | Json = 1) -> Json:
        return await self._act("press", chat=chat, message=message, data=data, person=person)

    async def rename(self, username: str) -> None:
        self.username = username
        await self._act("rename", username=username)

    async def block(self, chat: int, why: str = "bot was blocked by the user") -> None:
        await self._act("block", chat=chat, why=why)

    async def add_bot(
        self, chat: Json, *, person: int | Json = 1, old: str | Json = "left", new: str | Json = "member"
    ) -> Json:
        """Add the bot to a group, with its status there before and after."""
        named = {name: {"status": how} if isinstance(how, str) else how for name, how in (("old", old), ("new", new))}
        return await self._act("add_bot", chat=chat, person=person, **named)

    async def delete(self, chat: int, message: int) -> None:
        await self._act("delete", chat=chat, message=message)

    async def migrate(self, chat: int, to: int, *, silently: bool = False) -> None:
        await self._act("migrate", chat=chat, to=to, silently=silently)

    async def hears_all(self, hears: bool = True) -> None:  # noqa: FBT001, FBT002
        """Let the bot hear all messages of its groups, or switch its privacy mode on again."""
        await self._act("privacy", on=not hears)

    async def raw(self, update: Json) -> Json:
        return await self._act("raw", update=update)

    async def faults(self, *faults: Json) -> None:
        (await self._http.post(f"/control/{self.id}/faults", json=list(faults))).raise_for_status()

    async def advance(self, seconds: float) -> None:
        (await self._http.post("/control/clock", json={"advance": seconds})).raise_for_status()

    async def state(self) -> Json:
        return dict((await self._http.get(f"/control/{self.id}/state")).json())

    async def calls(self) -> tuple[int, int]:
        """The numbers of calls that the bot has made and that were answered, without getUpdates."""
        counted = (await self._http.get(f"/control/{self.id}/calls")).json()
        return counted["begun"], counted["ended"]

    async def journal(self, after: int = 0) -> list[Entry]:
        """The entries so far, without the first `after`."""
        asked = {"now": 1, "after": after}
        return list((await self._http.get(f"/control/{self.id}/journal", params=asked)).json())

    async def until(self, is_done: Callable[[list[Entry]], object]) -> list[Entry]:
        """Wait until `is_done` is true for the journal, and return it."""
        seen: list[Entry] = []
        try:
            async with asyncio.timeout(PATIENCE):
                while not is_done(seen):
                    found = await self._http.get(f"/control/{self.id}/journal", params={"after": len(seen)}, timeout=40)
                    seen += found.json()
        except TimeoutError:
            raise AssertionError("\n".join(map(str, seen))) from None
        return seen

    async def _act(self, deed: str, **given: object) -> Json:
        answer = await self._http.post(f"/control/{self.id}/{deed}", json=given)
        return dict(answer.raise_for_status().json())


@asynccontextmanager
async def make_account(address: str, **facts: object) -> AsyncIterator[Account]:
    """Create a new bot."""
    async with httpx.AsyncClient(base_url=address, timeout=40, trust_env=False) as http:
        account = Account(http, next(NUMBERS))
        made = {"id": account.id, "token": account.token, "username": account.username, **facts}
        (await http.post("/control/bots", json=made)).raise_for_status()
        yield account


async def advance(address: str, seconds: float) -> None:
    async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
        await http.post("/control/clock", json={"advance": seconds})


def shown(journal: list[Entry], chat: int | None = None) -> list[Entry]:
    """The sends and edits in one chat, or in all."""
    return [entry for entry in journal if entry["do"] in {"send", "edit"} and chat in {None, entry["chat"]}]
