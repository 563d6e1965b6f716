"""The client that tests use for the fake Slack: its process, its control API and its journal."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.fakes.slack.workspace import BOT_USER

PATIENCE = 20.0
"""Real seconds without progress after which a test fails."""
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A snapshot of the fake."""

    version: int
    journal: list[dict[str, Any]]
    calls: dict[str, int]
    streams: list[str]
    sockets: int
    tickets: dict[str, bool]
    sendings: dict[str, dict[str, Any]]

    def bubbles(self, channel: str = "") -> list[dict[str, Any]]:
        """The bot's current messages, oldest first."""
        now: dict[str, dict[str, Any]] = {}
        for entry in self.journal:
            if entry["what"] in {"posted", "appended", "edited"} and channel in ("", entry["channel"]):
                now[entry["ts"]] = entry
            elif entry["what"] == "deleted":
                now.pop(entry["ts"], None)
        return list(now.values())

    def entries(self, what: str) -> list[dict[str, Any]]:
        return [entry for entry in self.journal if entry["what"] == what]

    def unacknowledged(self) -> list[dict[str, Any]]:
        return [sending["body"] for sending in self.sendings.values() if not sending["acknowledged"]]


class FakeSlack:
    """Controls the fake's process."""

    def __init__(self, port: int, http: httpx.AsyncClient) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._http = http

    async def pull(self, verb: str, **values: Any) -> Any:  # noqa: ANN401  JSON
        response = await self._http.post(f"{self.url}/control/{verb}", json=values)
        return response.raise_for_status().json()

    async def say(self, text: str, *, channel: str = "D1", user: str = "U1", **extra: Any) -> str:  # noqa: ANN401
        """Write a message as `user`. Returns its ts."""
        return str((await self.pull("say", channel=channel, user=user, text=text, **extra))["ts"])

    async def change(self, ts: str, *, channel: str = "D1", **fields: Any) -> State:  # noqa: ANN401
        """Change a user's message, and wait until the events are acknowledged."""
        before = len((await self.state()).sendings)
        await self.pull("change", channel=channel, ts=ts, **fields)
        return await self.until(lambda state: len(state.sendings) > before and not state.unacknowledged())

    async def mention(self, text: str, *, channel: str = "C1", user: str = "U1", **extra: Any) -> str:  # noqa: ANN401
        return await self.say(f"<@{BOT_USER}> {text}", channel=channel, user=user, **extra)

    async def state(self, after: int = -1) -> State:
        response = await self._http.get(f"{self.url}/control/state", params={"after": after})
        return State(**response.raise_for_status().json())

    async def until(self, holds: Callable[[State], bool]) -> State:
        """Wait for a state for which `holds` is true, and return it."""
        state = await self.state()
        while not holds(state):
            state = await self.state(state.version)
        return state

    async def until_shown(self, *texts: str, channel: str = "") -> State:
        """Wait until the bot's messages have these texts, in any order."""
        return await self.until(lambda state: sorted(b["text"] for b in state.bubbles(channel)) == sorted(texts))


@contextmanager
def fake_slack_process(journal: Path) -> Iterator[int]:
    """Run a fake Slack in a process of its own. Yields its port."""
    command = [sys.executable, "-m", "tests.fakes.slack", "--journal", str(journal)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@asynccontextmanager
async def fake_slack(port: int) -> AsyncIterator[FakeSlack]:
    """Start a new workspace in the fake's process."""
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        slack = FakeSlack(port, http)
        await slack.pull("reset")
        yield slack
