"""kill -9 at every step of answering a message on the web: the page connects and asks again, and shows one answer."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from tests.bots.gateway import Note, Plan, said_to, whole_answer
from tests.bots.lives import GIVEN_UP, SEEDS, STEPS, Lives
from tests.bots.web.site import events_of
from tests.faults.fork_server import ForkServer
from tests.ports import free_port

PAUSE = 0.02
"""Seconds after which the page tries again; a real one waits half a second and longer."""
WHILE_WRITTEN = ("first piece", "third piece")
POINTS = [*(step for step in STEPS if not step.startswith("set_handle")), *WHILE_WRITTEN]
"""A page has no messages whose handles could be kept."""
Turn: TypeAlias = Mapping[str, Any]
"""As the page gets it."""


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, SEEDS))])
async def test_every_message_is_answered_once(
    fork_server: ForkServer, tmp_path: Path, record_property: Note, point: str, seed: int
) -> None:
    """After a kill and a restart the page shows each question once, with its whole answer, and so does the transcript.

    What was shown of an answer before the kill is the beginning of the answer.
    """
    chance = random.Random(f"{point} {seed}")
    words = [f"w{number}x{chance.choice((1, 9))}" for number in range(chance.randint(2, 4))]
    plan = Plan(platform="web", settings={}, port=free_port(), database=f"sqlite:///{tmp_path}/parley.db")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{plan.port}") as client:
        page = Page(client, words=words, plan=plan, fork_server=fork_server, log=tmp_path / "log")
        pid = await page.start(point, chance.randint(1, len(words)))
        looking, asking = asyncio.create_task(page.look_on()), asyncio.create_task(page.ask_all())
        await page.until_killed(pid)
        pieces = page.pieces
        await page.live()
        await asking
        looking.cancel()
    record_property("messages", len(words))
    record_property("pieces before the kill", pieces)
    assert (pieces > 0 or point not in WHILE_WRITTEN, page.wrong) == (True, [])
    assert page.answers() == page.transcript == {word: [whole_answer(word)] for word in words}


class Page(Lives[int]):
    """What chat.js does: it sends each message until it is accepted, and follows the events, each time they break off
    from the beginning. `pieces` counts those that it was told while answers were written, `wrong` has what was shown of
    an answer and is not its beginning.
    """

    def __init__(
        self, client: httpx.AsyncClient, *, words: list[str], plan: Plan, fork_server: ForkServer, log: Path
    ) -> None:
        super().__init__(words=words, plan=plan, fork_server=fork_server, log=log)
        self._client = client
        self._shown: dict[int, Turn] = {}
        self.transcript: dict[str, list[str]] = {}
        self.pieces = 0
        self.wrong: list[str] = []

    async def ask_all(self) -> None:
        await self._persist("GET", "/")
        for word in self.words:
            headers = {"Idempotency-Key": word, "Prefer": "respond-async"}
            await self._persist("POST", "/api/chat", json={"text": word}, headers=headers)

    async def look_on(self) -> None:
        while True:
            with suppress(httpx.TransportError):
                async with self._client.stream("GET", "/api/events") as response:
                    async for name, data in events_of(response.aiter_lines()):
                        self._show(name, data)
            await asyncio.sleep(PAUSE)

    def _show(self, name: str, data: Any) -> None:  # noqa: ANN401  JSON
        match name:
            case "transcript":
                self._shown = {turn["id"]: turn for turn in data["turns"]}
            case "begun" | "replied":
                self._shown[data["id"]] = data
            case "written" if turn := self._shown.get(data["turn"]):
                written = turn["written"][: data["at"]] + data["piece"]
                if not said_to(turn["question"]).startswith(written):
                    self.wrong.append(written)
                self._shown[data["turn"]] = {**turn, "written": written}
                self.pieces += 1

    def answers(self) -> dict[str, list[str]]:
        """The answers to each question that the page shows."""
        return _answers(list(self._shown.values()))

    async def until_settled(self) -> None:
        while not self._is_settled():
            await asyncio.sleep(PAUSE)
        self.transcript = _answers((await self._persist("GET", "/api/history")).json()["turns"])

    async def unsaved(self, handles: object) -> set[int]:
        return set()

    def _is_settled(self) -> bool:
        answers = self.answers()
        return set(answers) == set(self.words) and all(
            text in GIVEN_UP or len(text) >= len(whole_answer(word))
            for word, texts in answers.items()
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


def _answers(turns: Sequence[Turn]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for turn in turns:
        found.setdefault(turn["question"], []).append(turn["reply"]["markdown"] if turn["reply"] else "")
    return found
