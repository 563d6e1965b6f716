"""Mutated updates and mutated answers of Telegram, over the real adapter: none ends it or leaves a turn stuck."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from telegram import Bot
from telegram.request import BaseRequest, RequestData

from bots.fronts import DEFAULT_WELCOME
from bots.telegram.adapter import Telegram
from bots.telegram.answers import ReadingRequest
from bots.telegram.polling import Timeouts
from config.settings import TelegramSettings
from core.admission import Admission
from core.chat import chatbot
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.stages.cache import AnswerCache
from core.stages.mood import MoodReader
from core.store import Store, open_store
from core.worker import Worker, working
from tests.bots.gateway import Note
from tests.bots.mutations import mutated, open_turns, states
from tests.bots.telegram.conftest import LIMITS, PERSONA
from tests.options import chat_with, worker_with

TOKEN = "123:fuzz"
BATCH = 50
STATUSES = (200, 200, 200, 400, 401, 403, 404, 409, 429, 429, 500, 502)
WAITS: tuple[object, ...] = (
    None,
    3,
    "3",
    0,
    -1,
    3e7,
    1.5,
    float("nan"),
    "Wed, 21 Oct 2015 07:28:00 GMT",
    "soon",
    [],
    True,
    10**30,
)
ANN = {"id": 5, "is_bot": False, "first_name": "Ann", "language_code": "en"}
PRIVATE, GROUP = {"id": 5, "type": "private"}, {"id": -100, "type": "supergroup", "title": "Friends"}
NAMED = {"type": "mention", "offset": 0, "length": 11}
SAID = {"message_id": 1, "date": 1_750_000_000, "chat": PRIVATE, "from": ANN, "text": "hello there"}
KINDS: dict[str, dict[str, Any]] = {
    "text": SAID,
    "group": {**SAID, "chat": GROUP, "text": "@parley_bot hello", "entities": [NAMED]},
    "reply": {**SAID, "reply_to_message": {**SAID, "text": "before"}, "quote": {"text": "bef", "position": 0}},
    "forward": {**SAID, "forward_origin": {"type": "user", "sender_user": ANN, "date": 1}},
    "album": {**SAID, "text": None, "media_group_id": "7", "photo": [{"file_id": "x"}], "caption": "look"},
    "elsewhere": {**SAID, "external_reply": {"origin": {"type": "channel", "chat": GROUP}, "poll": {"question": "?"}}},
    "command": {**SAID, "text": "/mood off"},
    "moved": {**SAID, "chat": GROUP, "text": None, "migrate_to_chat_id": -200},
    "topic": {**SAID, "chat": GROUP, "is_topic_message": True, "message_thread_id": 9, "text": "/help"},
}


class Network(BaseRequest):
    """A Telegram that keeps updates until they are confirmed, and mutates its answers while it is `ill`."""

    read_timeout = 5.0

    def __init__(self, random: Random, clock: ManualClock) -> None:
        self.random = random
        self.clock = clock
        self.ill = False
        self.mutations = 0
        self.updates: deque[tuple[int, bytes]] = deque()
        self.shown: list[str] = []
        self._numbers = 0

    async def initialize(self) -> None:
        pass

    async def shutdown(self) -> None:
        pass

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        *_timeouts: Any,  # noqa: ANN401
        **_named: Any,  # noqa: ANN401
    ) -> tuple[int, bytes]:
        await asyncio.sleep(0)
        given: dict[str, Any] = request_data.parameters if request_data else {}
        name = url.rpartition("/")[2]
        if name == "getUpdates":
            if not self.updates:
                await self.clock.sleep(1)
            return self._get_updates(int(given["offset"]), int(given["limit"]))
        self.shown.append(str(given.get("text", "")))
        result = {"getMe": {"id": 123, "is_bot": True, "first_name": "P", "username": "parley_bot"}}.get(name, True)
        if name == "sendMessage":
            result = {"message_id": len(self.shown), "date": 0, "chat": PRIVATE}
        return self._answer({"ok": True, "result": result})

    def add(self, update: dict[str, Any], *, is_sound: bool = False) -> None:
        self._numbers += 1
        body = json.dumps(update).encode() if is_sound else mutated(self.random, update)
        self.mutations += not is_sound
        body = body if body.startswith(b"{") and len(body) > 2 else b'{"rest":' + body + b"}"
        self.updates.append((self._numbers, b'{"update_id":%d,' % self._numbers + body[1:]))

    def _get_updates(self, offset: int, limit: int) -> tuple[int, bytes]:
        while self.updates and self.updates[0][0] < offset:
            self.updates.popleft()
        found = b",".join(body for _, body in list(self.updates)[:limit])
        if self.ill and self.random.random() < 0.1:
            return self._answer({"ok": True, "result": []})
        return 200, b'{"ok":true,"result":[' + found + b"]}"

    def _answer(self, answer: dict[str, Any]) -> tuple[int, bytes]:
        if not self.ill or self.random.random() < 0.4:
            return 200, json.dumps(answer).encode()
        self.mutations += 1
        status = self.random.choice(STATUSES)
        if status != 200:
            parameters = {"retry_after": self.random.choice(WAITS), "migrate_to_chat_id": None}
            answer = {"ok": False, "error_code": status, "description": "Bad Request", "parameters": parameters}
        return status, mutated(self.random, answer) if self.random.random() < 0.7 else json.dumps(answer).encode()


@asynccontextmanager
async def bot(network: Network, clock: ManualClock, store: Store) -> AsyncIterator[asyncio.Task[None]]:
    """A whole bot on this network; the task that takes updates in."""
    request = ReadingRequest(network, clock)
    settings = TelegramSettings(token=SecretStr(TOKEN))
    async with asyncio.TaskGroup() as tasks:
        library = Bot(TOKEN, request=request, get_updates_request=request)
        front = Telegram(library, settings, clock, Timeouts(), tasks, DEFAULT_WELCOME)
        model = ScriptedEngine.fixed("**Well**, here is what I think. And more.")
        answers = AnswerCache(size=1, ttl=1, timer=clock.monotonic)
        handler = chatbot(store, model, MoodReader(model), answers, clock, chat_with(persona=PERSONA))
        worker = Worker(store, handler, front.deliveries, clock, worker_with(owner="me", slots=4))
        async with working(worker, grace=0):
            running = asyncio.create_task(front.run(Admission(store, clock, LIMITS, worker)))
            yield running
            running.cancel()
            await asyncio.wait([running])
            await front.close()


async def until_settled(network: Network, clock: ManualClock, store: Store, running: asyncio.Task[None]) -> None:
    """Wait until each update is confirmed and each turn closed, for at most a few hours of the bot's time."""
    for _ in range(20_000):
        for _ in range(20):
            await asyncio.sleep(0)
        assert not running.done(), "the front end has ended"
        if not network.updates and not await open_turns(store):
            return
        clock.advance(1)
    pytest.fail(f"{len(network.updates)} updates and {await open_turns(store)} turns are stuck")


async def fuzz(seed: int, mutations: int) -> dict[str, int]:
    """Figures of a run, in which sound messages are mixed with mutated ones."""
    random, clock = Random(seed), ManualClock()
    network = Network(random, clock)
    with capture_logs() as logs:
        async with open_store("sqlite://") as store, bot(network, clock, store) as running:
            while network.mutations < mutations:
                network.ill = True
                for number in range(BATCH):
                    kind = random.choice(list(KINDS))
                    message = deepcopy(KINDS[kind]) | {"message_id": random.randrange(1, 10**6)}
                    update: dict[str, Any] = {"message": message}
                    if random.random() < 0.2:
                        data = f"fb:up:{random.randrange(1, 99)}:0123456789ab"
                        update = {"callback_query": {"id": str(number), "from": ANN, "message": message, "data": data}}
                    network.add(update, is_sound=random.random() < 0.3)
                await asyncio.sleep(0)
                for _ in range(30):
                    clock.advance(1)
                    for _ in range(20):
                        await asyncio.sleep(0)
                network.ill = False
                await until_settled(network, clock, store, running)
            network.shown.clear()
            network.add({"message": {**SAID, "message_id": 10**7, "text": "/help"}}, is_sound=True)
            await until_settled(network, clock, store, running)
            assert any("commands" in words for words in network.shown)
            found = await states(store)
    words = [entry for entry in logs if "hello there" in str(entry) or TOKEN in str(entry)]
    assert words == []
    return {"mutations": network.mutations, "skipped": sum(e["event"] == "update skipped" for e in logs), **found}


async def test_no_mutation_ends_the_bot_or_leaves_a_turn_stuck() -> None:
    """After a hundred mutations of updates and answers each turn is closed, and a sound message is answered."""
    figures = await fuzz(1, 150)
    assert figures["delivered"] > 0
    assert figures["skipped"] > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
async def test_no_mutation_of_thousands_does(seed: int, record_property: Note) -> None:
    """The same with a thousand mutations for each of ten seeds."""
    record_property(f"telegram mutations, seed {seed}", await fuzz(100 + seed, 1_000))
