"""Mutated events and mutated answers of Slack, over the real adapter: none ends it or leaves a turn stuck."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast
from urllib.parse import urlencode

import aiohttp
import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from structlog.testing import capture_logs

from bots.fronts import DEFAULT_WELCOME
from bots.proxies import ENVIRONMENT
from bots.slack.adapter import Slack
from bots.slack.answers import Client
from config.settings import SlackSettings
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
from tests.bots.slack.conftest import LIMITS, PERSONA
from tests.fakes.slack.events import signed
from tests.fakes.slack.workspace import SIGNING_SECRET
from tests.options import chat_with, worker_with

TOKEN = "xoxb-fuzz"
BASE = "https://slack.test/api/"
BATCH = 50
STATUSES = (200, 200, 200, 400, 401, 403, 404, 429, 429, 500, 503)
WAITS = ("", "3", "0", "-1", "31536000", "1.5", "nan", "inf", "Wed, 21 Oct 2015 07:28:00 GMT", "soon", "9" * 5_000)
ERRORS = ("not_in_channel", "ratelimited", "msg_too_long", "invalid_auth", "fatal_error", "message_not_found", "")
CALLBACK = {"type": "event_callback", "team_id": "T1", "event_id": "Ev1"}
SAID = {"type": "message", "channel_type": "im", "channel": "D1", "user": "U1", "ts": "1.1", "text": "hello there"}
FILE = {"id": "F1", "mimetype": "text/plain", "mode": "snippet", "preview": "x", "lines_more": 1}
SHARED = {
    "is_share": True,
    "text": "look",
    "author_id": "U2",
    "fields": [{"title": "a", "value": "b"}],
    "files": [FILE],
}
RICH = {"type": "rich_text_section", "elements": [{"type": "text", "text": "hi"}, {"type": "emoji", "name": "tada"}]}
PRESS = {"action_id": "vote:1", "action_ts": "1750000002.0001", "value": "-1:12"}
KINDS: dict[str, dict[str, Any]] = {
    "direct": CALLBACK | {"event": SAID},
    "mention": CALLBACK | {"event": SAID | {"type": "app_mention", "channel": "C1", "channel_type": "channel"}},
    "thread": CALLBACK | {"event": SAID | {"channel": "C1", "channel_type": "channel", "thread_ts": "1.0"}},
    "shared": CALLBACK | {"event": SAID | {"attachments": [SHARED], "files": [FILE]}},
    "rich": CALLBACK | {"event": SAID | {"blocks": [{"type": "rich_text", "elements": [RICH]}]}},
    "home": CALLBACK | {"event": {"type": "app_home_opened", "channel": "D1", "tab": "messages"}},
    "stop": CALLBACK | {"event": {"type": "agent_session_stopped", "channel": "D1", "thread_ts": "1.1", "user": "U1"}},
    "press": {
        "type": "block_actions",
        "user": {"id": "U1", "team_id": "T1"},
        "channel": {"id": "D1"},
        "message": {"ts": "1.2", "thread_ts": "1.1"},
        "actions": [PRESS],
    },
    "slash": {
        "command": "/parley",
        "text": "mood off",
        "user_id": "U1",
        "team_id": "T1",
        "channel_id": "C1",
        "trigger_id": "1",
        "response_url": f"{BASE}response",
    },
}


class Content:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        for at in range(0, len(self._body), size):
            yield self._body[at : at + size]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.status < 400

    @property
    def content(self) -> Content:
        return Content(self.body)


class Session:
    """A Slack that mutates its answers while it is `ill`."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.ill = False
        self.mutations = 0
        self.shown: list[str] = []
        self._posts = 0

    @asynccontextmanager
    async def request(self, _verb: str, url: str, **arguments: Any) -> AsyncIterator[Answer]:  # noqa: ANN401
        await asyncio.sleep(0)
        self.shown.append(str(arguments))
        self._posts += 1
        name = url.rpartition("/")[2]
        results: dict[str, dict[str, Any]] = {
            "auth.test": {"team_id": "T1", "user_id": "UBOT"},
            "chat.postMessage": {"ts": f"9.{self._posts}", "channel": "D1"},
            "chat.startStream": {"ts": f"9.{self._posts}"},
            "conversations.replies": {"messages": [{"ts": "0.5", "user": "U2", "text": "before"}]},
            "files.getUploadURLExternal": {"upload_url": f"{BASE}upload", "file_id": "F1"},
        }
        yield self._answer({"ok": True, **results.get(name, {})}, may_refuse=name != "auth.test")

    def post(self, url: str, **arguments: Any) -> Any:  # noqa: ANN401
        return self.request("POST", url, **arguments)

    def _answer(self, answer: dict[str, Any], *, may_refuse: bool) -> Answer:
        """An answer. Slack does not refuse the token, which would rightly end the front end."""
        if not self.ill or self.random.random() < 0.4:
            return Answer(200, json.dumps(answer).encode())
        self.mutations += 1
        if may_refuse and self.random.random() < 0.4:
            answer = {"ok": False, "error": self.random.choice(ERRORS)}
        body = mutated(self.random, answer) if self.random.random() < 0.7 else json.dumps(answer).encode()
        return Answer(self.random.choice(STATUSES), body, {"Retry-After": self.random.choice(WAITS)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    taking_in: asyncio.Task[None]
    http: httpx.AsyncClient
    clock: ManualClock

    async def send(self, body: bytes) -> int:
        return (
            await self.http.post("/slack/events", content=body, headers=signed(body, int(self.clock.now())))
        ).status_code


@asynccontextmanager
async def bot(network: Session, clock: ManualClock, store: Store) -> AsyncIterator[Running]:
    """A whole bot on this network."""
    session = cast("aiohttp.ClientSession", network)
    settings = SlackSettings(bot_token=SecretStr(TOKEN), signing_secret=SecretStr(SIGNING_SECRET), base_url=BASE)
    front = Slack(
        settings,
        Client(TOKEN, BASE, session, clock),
        session,
        clock,
        shared_history=False,
        welcome=DEFAULT_WELCOME,
        proxies=ENVIRONMENT,
    )
    model = ScriptedEngine.fixed("**Well**, here is https://what.example I think. And more.")
    answers = AnswerCache(size=1, ttl=1, timer=clock.monotonic)
    handler = chatbot(store, model, MoodReader(model), answers, clock, chat_with(persona=PERSONA))
    worker = Worker(store, handler, front.deliveries, clock, worker_with(owner="me", slots=4))
    async with working(worker, grace=0):
        admission = Admission(store, clock, LIMITS, worker)
        taking_in = asyncio.create_task(front.run(admission))
        while not front.deliveries:
            await asyncio.sleep(0)
        app = Starlette(routes=list(front.routes(admission)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://parley") as http:
            yield Running(taking_in=taking_in, http=http, clock=clock)
        taking_in.cancel()
        await asyncio.wait([taking_in])
        await front.close()


async def advance(clock: ManualClock, seconds: int) -> None:
    for _ in range(seconds):
        clock.advance(1)
        for _ in range(20):
            await asyncio.sleep(0)


async def until_settled(clock: ManualClock, store: Store, running: Running) -> None:
    """Wait until each turn is closed, for at most a few hours of the bot's time."""
    for _ in range(20_000):
        await advance(clock, 1)
        assert not running.taking_in.done(), "the front end has ended"
        if not await open_turns(store):
            return
    pytest.fail(f"{await open_turns(store)} turns are stuck")


def fresh(random: Random, kind: str, number: int) -> dict[str, Any]:
    """A payload of a kind that was not sent before."""
    payload = deepcopy(KINDS[kind])
    if "event" in payload:
        payload["event_id"] = f"Ev{number}"
        if "ts" in payload["event"]:
            payload["event"]["ts"] = f"1750000000.{number}"
    if "actions" in payload:
        payload["actions"][0]["value"] = f"1:{random.randrange(1, 99)}"
    return payload | ({"trigger_id": str(number)} if kind == "slash" else {})


def encoded(payload: dict[str, Any], body: bytes) -> bytes:
    """Events come as JSON, presses as a form that holds JSON, and commands as a form."""
    if "actions" in payload:
        return urlencode({"payload": body}).encode()
    return body


async def fuzz(seed: int, mutations: int) -> dict[str, int]:
    """Figures of a run, in which sound events are mixed with mutated ones."""
    random, clock, number = Random(seed), ManualClock(), 0
    network = Session(random)
    with capture_logs() as logs:
        async with open_store("sqlite://") as store, bot(network, clock, store) as running:
            while network.mutations < mutations:
                network.ill = True
                for _ in range(BATCH):
                    number += 1
                    payload = fresh(random, random.choice(list(KINDS)), number)
                    is_sound = random.random() < 0.3
                    network.mutations += not is_sound
                    body = json.dumps(payload).encode() if is_sound else mutated(random, payload)
                    sending = asyncio.create_task(running.send(encoded(payload, body)))
                    while not sending.done():
                        await advance(clock, 1)
                    assert sending.result() in {200, 400}
                network.ill = False
                await until_settled(clock, store, running)
            network.shown.clear()
            await running.send(json.dumps(fresh(random, "direct", number + 1)).encode())
            await until_settled(clock, store, running)
            assert any("what.example" in words for words in network.shown)
            found = await states(store)
    assert [entry for entry in logs if "hello there" in str(entry) or TOKEN in str(entry)] == []
    return {"mutations": network.mutations, "skipped": sum(e["event"] == "update skipped" for e in logs), **found}


async def test_no_mutation_ends_the_bot_or_leaves_a_turn_stuck() -> None:
    """After a hundred mutations of events and answers each turn is closed, and a sound message is answered."""
    figures = await fuzz(1, 100)
    assert figures["delivered"] > 0
    assert figures["skipped"] > 0


@pytest.mark.long
@pytest.mark.parametrize("seed", range(10))
async def test_no_mutation_of_thousands_does(seed: int, record_property: Note) -> None:
    """The same with a thousand mutations for each of ten seeds."""
    record_property(f"slack mutations, seed {seed}", await fuzz(100 + seed, 1_000))
