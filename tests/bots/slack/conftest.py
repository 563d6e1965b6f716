"""A gateway connected to the fake Slack. Everything is real except the model and the clock."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import pytest
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette

from bots.fronts import DEFAULT_WELCOME, Welcome
from bots.proxies import ENVIRONMENT, Proxies
from bots.slack.adapter import Slack, open_slack
from bots.slack.threads import Following
from bots.slack.translate import DirectMessages
from config.settings import SlackSettings
from core.admission import Admission
from core.chat import chatbot
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.limits import Limits
from core.prompt import Persona
from core.side_by_side import SIDE_BY_SIDE
from core.stages.cache import AnswerCache
from core.stages.generate import ReplyLimits
from core.stages.knowledge import Expertise
from core.stages.mood import MoodReader
from core.store import Store, open_store, turns
from core.worker import Worker, working
from tests.fakes.slack.client import FakeSlack, State
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET
from tests.options import chat_with, unthrottled_with, worker_with

PERSONA = Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})
LIMITS = unthrottled_with(max_queued=1_000, max_wait=1e6, allow=frozenset({"slack:*"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """One process of the bot, and the fake Slack that it serves."""

    slack: FakeSlack
    front: Slack
    store: Store
    clock: ManualClock
    engine: ScriptedEngine
    taking_in: asyncio.Task[None]
    url: str = ""

    async def until(self, holds: Callable[[State], bool], *, step: float = 1.0) -> State:
        """The first state that satisfies a condition, while time advances."""
        while not holds(state := await self.slack.state()):
            await self.advance(step)
        return state

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.slack.pull("advance", seconds=seconds)


Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def open_gateway(slack: FakeSlack, tmp_path: Path, clock: ManualClock) -> Open:
    """Opens gateways one after another on the same database."""
    return partial(_gateway, slack, tmp_path, clock)


@asynccontextmanager
async def _gateway(  # noqa: PLR0913  each test needs one of them
    slack: FakeSlack,
    folder: Path,
    clock: ManualClock,
    engine: ScriptedEngine | None = None,
    *,
    http: bool = False,
    shared: bool = False,
    listening: bool = True,
    limits: Limits = LIMITS,
    threads: Following = "follow",
    directs: DirectMessages = "one",
    welcome: Welcome = DEFAULT_WELCOME,
    proxies: Proxies = ENVIRONMENT,
    expertise: Expertise | None = None,
    base_url: str = "",
    database: str = "",
) -> AsyncIterator[Gateway]:
    engine = engine or ScriptedEngine.replying(lambda prompt: f"I heard: {prompt[-1].content}")
    options = chat_with(
        persona=PERSONA,
        admins=limits.admins,
        show_mood="always",  # tells a whole reply from its previews
        shared_history=shared,
        reply=ReplyLimits(max_tokens=10_000, total_timeout=1_000),
    )
    async with (
        open_store(database or f"sqlite:///{folder}/parley.db", beside=SIDE_BY_SIDE) as store,
        open_slack(
            settings(slack, http=http, threads=threads, directs=directs, base_url=base_url),
            clock,
            shared_history=shared,
            welcome=welcome,
            proxies=proxies,
        ) as front,
    ):
        await store.run(turns.disown, "slack")
        answers = AnswerCache(size=64, ttl=60, timer=clock.monotonic)
        handler = chatbot(store, engine, MoodReader(engine), answers, clock, options, expertise=expertise)
        worker = Worker(store, handler, front.deliveries, clock, worker_with(owner=uuid4().hex, slots=4))
        async with working(worker, grace=0):
            admission = Admission(store, clock, limits, worker)
            taking_in = asyncio.create_task(front.run(admission))
            try:
                async with _served(front, admission, slack, http=http) as url:
                    if listening:
                        await _until_listening(slack, front, http=http)
                    yield Gateway(
                        slack=slack,
                        front=front,
                        store=store,
                        clock=clock,
                        engine=engine,
                        taking_in=taking_in,
                        url=url,
                    )
            finally:
                taking_in.cancel()
                await asyncio.wait([taking_in])


def settings(
    slack: FakeSlack,
    *,
    http: bool = False,
    threads: Following = "follow",
    directs: DirectMessages = "one",
    base_url: str = "",
) -> SlackSettings:
    return SlackSettings(
        threads=threads,
        direct_messages=directs,
        bot_token=SecretStr(BOT_TOKEN),
        app_token=SecretStr("" if http else APP_TOKEN),
        signing_secret=SecretStr(SIGNING_SECRET if http else ""),
        base_url=base_url or f"{slack.url}/api",
    )


async def _until_listening(slack: FakeSlack, front: Slack, *, http: bool) -> None:
    await slack.until(lambda state: state.calls.get("auth.test", 0) > 0 if http else state.sockets > 0)
    while not front.deliveries:
        await asyncio.sleep(0)


@asynccontextmanager
async def _served(front: Slack, admission: Admission, slack: FakeSlack, *, http: bool) -> AsyncIterator[str]:
    """Serve the front end's routes on a free port, and have Slack send its events there."""
    if not http:
        yield ""
        return
    app = Starlette(routes=list(front.routes(admission)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/slack/events"
    await slack.pull("rules", http=url)
    try:
        yield url
    finally:
        server.should_exit = True
        await serving
