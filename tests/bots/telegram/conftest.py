"""The fake Telegram in a process of its own, and whole gateways connected to it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from bots.fronts import DEFAULT_WELCOME, Welcome
from bots.proxies import ENVIRONMENT, Proxies
from bots.telegram.adapter import Telegram, open_telegram
from bots.telegram.polling import Timeouts
from config.settings import TelegramSettings
from core.admission import Admission
from core.chat import chatbot
from core.clock import Clock
from core.duties import SharedDuties
from core.engine.protocol import Engine
from core.engine.scripted import ScriptedEngine
from core.limits import Limits
from core.prompt import Persona
from core.side_by_side import SIDE_BY_SIDE
from core.stages.cache import AnswerCache
from core.stages.knowledge import Expertise
from core.stages.mood import MoodReader
from core.store import Store, open_store, turns
from core.worker import Worker, working
from tests.fakes.telegram.clock import EPOCH
from tests.fakes.telegram.control import SPEED, Account
from tests.fakes.telegram.journal import Entry
from tests.options import chat_with, limits_with, worker_with
from tests.ports import free_port

LEASE = 60.0
"""Seconds for which a gateway has a duty: three for a test."""
QUICK = Timeouts(poll=10, read=2.0)
LIMITS = limits_with(per_minute=6000, burst=1000, max_queued=100, max_wait=1e6, allow=frozenset({"telegram:*"}))
PERSONA = Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})


class FastClock:
    """The machine's clock, `SPEED` times as fast. It shows the same time as the fake Telegram's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def now(self) -> float:
        return EPOCH + self.monotonic()

    def monotonic(self) -> float:
        return self._loop.time() * SPEED

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)

    def timeout(self, seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds / SPEED)


class StillClock(FastClock):
    """A fast clock whose time of day stands still until it is started, however long the test takes until then."""

    def __init__(self) -> None:
        super().__init__()
        self._stands_at: float | None = super().now()

    def now(self) -> float:
        return super().now() if self._stands_at is None else self._stands_at

    def start(self) -> None:
        self._stands_at = None


@dataclass(slots=True, kw_only=True)
class Gateway:
    """A whole bot in this process."""

    telegram: Telegram
    store: Store
    admission: Admission


@asynccontextmanager
async def open_gateway(  # noqa: PLR0913  one parameter for each part that a test replaces
    account: Account,
    engine: Engine | None = None,
    *,
    database: str = "sqlite://",
    timeouts: Timeouts = QUICK,
    limits: Limits = LIMITS,
    slots: int = 2,
    clock: Clock | None = None,
    welcome: Welcome = DEFAULT_WELCOME,
    proxies: Proxies = ENVIRONMENT,
    expertise: Expertise | None = None,
    **settings: object,
) -> AsyncIterator[Gateway]:
    """The composition, as in bots/app.py and bots/run.py."""
    clock = clock or FastClock()
    port = free_port()
    chosen: dict[str, object] = {"token": account.token, "base_url": account.base_url, **settings}
    if chosen.get("mode") == "webhook":
        chosen.setdefault("webhook_url", f"http://127.0.0.1:{port}")
    options = TelegramSettings.model_validate(chosen)
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(
            open_telegram(options, clock, timeouts, welcome=welcome, proxies=proxies)
        )
        store = await stack.enter_async_context(open_store(database, beside=SIDE_BY_SIDE))
        is_shared = database.startswith("postgresql")
        if not is_shared:
            await store.run(turns.disown, "telegram")
        answers = AnswerCache(size=16, ttl=60, timer=clock.monotonic)
        chat = chat_with(
            persona=PERSONA, show_mood="always", admins=limits.admins
        )  # moods tell a reply from its previews
        model = engine or ScriptedEngine.fixed()
        handler = chatbot(store, model, MoodReader(model), answers, clock, chat, expertise=expertise)
        worker = Worker(store, handler, telegram.deliveries, clock, worker_with(owner=f"w{port}", slots=slots))
        duties = SharedDuties(store, clock, f"w{port}", lease=LEASE) if is_shared else None
        admission = Admission(store, clock, limits, worker, duties=duties)
        await stack.enter_async_context(working(worker, grace=100))
        await stack.enter_async_context(serving(telegram.routes(admission), port))
        running = asyncio.create_task(telegram.run(admission))
        try:
            yield Gateway(telegram=telegram, store=store, admission=admission)
        finally:
            running.cancel()
            await asyncio.wait([running])


def answers(journal: list[Entry], text: str = "") -> list[Entry]:
    """The edits with buttons to vote, which are the model's replies."""
    edits = [entry for entry in journal if entry["do"] == "edit" and text in entry["text"]]
    return [entry for entry in edits if any(data.startswith("fb:up") for data in entry["buttons"])]


def done(journal: list[Entry], count: int = 1, text: str = "") -> bool:
    return len(answers(journal, text)) >= count


def notices(journal: list[Entry]) -> list[str]:
    """What each press of a button was acknowledged with; only the person who pressed sees it."""
    return [entry["text"] for entry in journal if entry["do"] == "answer"]


async def rows(gateway: Gateway, query: str) -> list[Any]:
    return list(await gateway.store.run(lambda c: c.execute(sa.text(query)).all()))


def echo() -> ScriptedEngine:
    """An engine that repeats the last message and nothing else of its prompt."""
    return ScriptedEngine.replying(lambda prompt: f"you said {prompt[-1].content.split()[0]}")


@asynccontextmanager
async def serving(routes: Sequence[BaseRoute], port: int) -> AsyncIterator[None]:
    """Serve the front end's routes, if it has any."""
    if not routes:
        yield
        return
    app = Starlette(routes=routes)
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, access_log=False, lifespan="off"))
    task = asyncio.create_task(server._serve())
    try:
        yield
    finally:
        server.should_exit = True
        await task
