"""kill -9 at every step of answering a message on the web: the page asks again, and shows one answer."""

import asyncio
import random
from pathlib import Path

import httpx
import pytest

from tests.bots.gateway import Note, Plan, free_port, whole_answer
from tests.bots.lives import GIVEN_UP, SEEDS, STEPS, Lives
from tests.faults.fork_server import ForkServer

PAUSE = 0.02
"""Seconds after which the page tries again; a real one waits half a second and longer."""
POINTS = [step for step in STEPS if not step.startswith("set_handle")]
"""A page has no messages whose handles could be kept."""


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, SEEDS))])
async def test_every_message_is_answered_once(
    fork_server: ForkServer, tmp_path: Path, record_property: Note, point: str, seed: int
) -> None:
    """After a kill and a restart the transcript has each question once, with its whole answer."""
    chance = random.Random(f"{point} {seed}")
    words = [f"w{number}x{chance.choice((1, 9))}" for number in range(chance.randint(2, 4))]
    plan = Plan(platform="web", settings={}, port=free_port(), database=f"sqlite:///{tmp_path}/parley.db")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{plan.port}") as client:
        page = Page(client, words=words, plan=plan, fork_server=fork_server, log=tmp_path / "log")
        pid = await page.start(point, chance.randint(1, len(words)))
        asking = asyncio.create_task(page.ask_all())
        await page.until_killed(pid)
        await page.live()
        await asking
    record_property("messages", len(words))
    assert page.seen == {word: [whole_answer(word)] for word in words}


class Page(Lives[int]):
    """A page that sends each message until it is accepted, and reads the transcript until all are answered."""

    def __init__(
        self, client: httpx.AsyncClient, *, words: list[str], plan: Plan, fork_server: ForkServer, log: Path
    ) -> None:
        super().__init__(words=words, plan=plan, fork_server=fork_server, log=log)
        self._client = client
        self.seen: dict[str, list[str]] = {}

    async def ask_all(self) -> None:
        await self._persist("GET", "/")
        for word in self.words:
            headers = {"Idempotency-Key": word, "Prefer": "respond-async"}
            await self._persist("POST", "/api/chat", json={"text": word}, headers=headers)

    async def until_settled(self) -> None:
        while not self._is_settled():
            turns = (await self._persist("GET", "/api/history")).json().get("turns", [])
            self.seen = {}
            for turn in turns:
                self.seen.setdefault(turn["question"], []).append(turn["reply"]["markdown"] if turn["reply"] else "")
            await asyncio.sleep(PAUSE)

    async def unsaved(self, handles: object) -> set[int]:
        return set()

    def _is_settled(self) -> bool:
        return set(self.seen) == set(self.words) and all(
            text in GIVEN_UP or len(text) >= len(whole_answer(word))
            for word, texts in self.seen.items()
            for text in texts
        )

    async def _persist(self, method: str, path: str, **request: object) -> httpx.Response:
        """A request, again and again until the bot answers it: it may be dead."""
        while True:
            try:
                answer = await self._client.request(method, path, **request)  # type: ignore[arg-type]
                if answer.status_code < 500:
                    return answer
            except httpx.TransportError:
                await asyncio.sleep(PAUSE)
