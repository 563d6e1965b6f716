"""A bot on the web over a real socket, with a scripted model."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx

from bots.app import Bot
from bots.fronts import DEFAULT_WELCOME, Deliveries, Welcome
from bots.web.front import open_web
from bots.web.server import serving, web_app
from config.settings import WebSettings
from core.admission import Admission
from core.chat import chatbot
from core.clock import Clock, SystemClock
from core.engine.scripted import ScriptedEngine
from core.keys import Scope, add_key
from core.limits import Limits
from core.notice_board import NoticeBoard, hearing
from core.prompt import Persona
from core.side_by_side import SIDE_BY_SIDE
from core.stages.cache import AnswerCache
from core.stages.mood import MoodReader
from core.store import Store, open_store
from core.tracing import UNTRACED, Tracing
from core.worker import Worker, working
from tests.options import chat_with, unthrottled_with, worker_with
from tests.ports import free_port

PERSONA = Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})
LIMITS = unthrottled_with(
    max_queued=1_000,
    key_per_minute=6e6,
    key_burst=10**9,
    key_max_queued=1_000,
    max_wait=1e6,
    allow=frozenset({"web:*"}),
)
Event: TypeAlias = tuple[str, Any]
"""The name and the data of a server-sent event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running bot. `browser` has the page's cookie once it was at "/", `program` has a key."""

    address: str
    store: Store
    engine: ScriptedEngine
    browser: httpx.AsyncClient
    program: httpx.AsyncClient
    key: str = field(repr=False)


@asynccontextmanager
async def open_site(  # noqa: PLR0913  a bot has these
    engine: ScriptedEngine,
    *,
    chat: bool = True,
    api: bool = True,
    origins: Collection[str] = (),
    cors: Collection[str] = (),
    limits: Limits = LIMITS,
    welcome: Welcome = DEFAULT_WELCOME,
    clock: Clock | None = None,
    tracing: Tracing = UNTRACED,
    store_url: str = "sqlite://",
    owner: str = "site",
    works: bool = True,
    key: str = "",
    poll: float = 1.0,
) -> AsyncIterator[Site]:
    """A bot composed as bots/app.py and bots/run.py do. One that does not work leaves the answers to other
    gateways on its store, whose `key` it is given.
    """
    clock = clock or SystemClock()
    settings = WebSettings(port=free_port(), chat=chat, api=api, origins=tuple(origins), cors=tuple(cors))
    address = f"http://127.0.0.1:{settings.port}"
    async with open_store(store_url, beside=SIDE_BY_SIDE) as store, open_web(settings, clock, welcome=welcome) as front:
        answers = AnswerCache(size=16, ttl=60, timer=clock.monotonic)
        handler = chatbot(
            store, engine, MoodReader(engine), answers, clock, chat_with(persona=PERSONA), tracing=tracing
        )
        shown = tracing.deliveries(Deliveries([front]))
        worker = Worker(store, handler, shown, clock, worker_with(owner=owner, poll=poll))
        board = NoticeBoard(owner)
        admission = Admission(store, clock, limits, worker, tracing=tracing, board=board)
        app = web_app(Bot(admission=admission, store=store, engine=engine), [front], clock, cors=cors)
        key = key or await store.run(add_key, "shop", [Scope.CHAT], bytes(range(32)), clock.now())
        async with (
            working(worker, grace=0.1) if works else nullcontext(),
            hearing(store.transactions.engine, board, clock),
            serving(app, settings, clock),
            httpx.AsyncClient(base_url=address, timeout=30) as browser,
            httpx.AsyncClient(base_url=address, timeout=30, headers={"Authorization": f"Bearer {key}"}) as program,
        ):
            running = asyncio.create_task(front.run(admission))
            try:
                yield Site(address=address, store=store, engine=engine, browser=browser, program=program, key=key)
            finally:
                running.cancel()
                await asyncio.wait([running])


async def events_of(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """The server-sent events of a response's lines, without comments."""
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))
