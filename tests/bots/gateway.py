"""A gateway on Telegram, Slack or the web that can crash, run by `tests.faults.fork_server`."""

import asyncio
import os
import re
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TypeAlias
from uuid import uuid4

import sqlalchemy as sa
from starlette.applications import Starlette

from bots.fronts import Deliveries, FrontEnd
from bots.slack.adapter import open_slack
from bots.telegram.adapter import open_telegram
from bots.web.front import open_web
from bots.web.server import serving
from config.settings import SlackSettings, TelegramSettings, WebSettings
from core.admission import Admission
from core.chat import chatbot
from core.clock import Clock, SystemClock
from core.engine.scripted import ScriptedEngine
from core.help_desk import HelpDesk
from core.messages import ConversationKey, Reply, Turn
from core.pipeline import Handler, Stage, compose
from core.prompt import Persona, Prompt
from core.stages.cache import AnswerCache
from core.stages.mood import MoodReader
from core.store import open_store, turns
from core.worker import Worker, working
from tests.bots.telegram.conftest import QUICK, FastClock
from tests.faults.crash_points import LOOP_ITERATIONS, CrashingStore, CrashPoint, open_crashing
from tests.options import chat_with, unthrottled_with, worker_with

Note: TypeAlias = Callable[[str, object], None]
"""Records a figure of a test for `--junitxml`."""
LINKED = 2
WORD = re.compile(r"w\d+x\d+")
ANYBODY = frozenset({"telegram:*", "slack:*", "web:*"})
LIMITS = unthrottled_with(max_queued=1_000, max_wait=1e6, allow=ANYBODY)
PERSONA = Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one gateway process runs, with a platform's `settings`. It kills itself at the given hit of `point`.

    On Slack its clock is `late` seconds behind, so messages seem to come that long after its start. `others` are the
    settings of other platforms that it serves as well, and `desk` is where people take conversations over.
    """

    platform: str
    settings: Mapping[str, str]
    port: int
    database: str
    point: str = ""
    hit: int = 1
    late: float = 0.0
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    desk: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateClock(SystemClock):
    """The machine's time, `seconds` behind."""

    seconds: float

    def now(self) -> float:
        return SystemClock.now(self) - self.seconds


def said_to(word: str) -> str:
    """The model's reply to a word: "w2x9" gets nine lines of 990 letters; a reply of LINKED lines has links."""
    lines = int(word.partition("x")[2])
    link = " a.example" if lines == LINKED else ""
    return "\n".join(f"you said {word} {number} {'w' * 990}{link}" for number in range(lines))


def whole_answer(word: str) -> str:
    """The reply and the mood that the scripted engine always reads."""
    return said_to(word) + " 😐"


async def run(plan: Plan, stop: asyncio.Event) -> None:
    """Compose a gateway as bots/app.py and bots/run.py do, and run it until `stop` is set."""
    clock: Clock = FastClock() if plan.platform == "telegram" or plan.desk else LateClock(seconds=plan.late)
    crash_point = CrashPoint(plan.point, (plan.hit,), lambda: os.kill(os.getpid(), signal.SIGKILL))
    platforms = {plan.platform: plan.settings, **plan.others}
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(open_crashing(plan.database, crash_point))
        fronts = [
            await stack.enter_async_context(_front(platform, settings, clock))
            for platform, settings in platforms.items()
        ]
        for platform in platforms:
            await plain.run(turns.disown, platform)
        store = CrashingStore(plain, crash_point)
        answers = AnswerCache(size=16, ttl=60, timer=clock.monotonic)
        desk = _desk(plan)
        chat = chat_with(persona=PERSONA, show_mood="always", help_desk=desk)  # tells a whole reply from its previews
        engine = ScriptedEngine.replying(_answer)
        handler = chatbot(store, engine, MoodReader(engine), answers, clock, chat)
        handler = compose(_crashing_sink(crash_point), innermost=handler)
        worker = Worker(store, handler, Deliveries(fronts), clock, worker_with(owner=uuid4().hex))
        admission = Admission(store, clock, replace(LIMITS, help_desk=desk), worker)
        app = Starlette(routes=[route for front in fronts for route in front.routes(admission)])
        async with working(worker, grace=100), serving(app, WebSettings(port=plan.port), clock):
            running = [asyncio.create_task(front.run(admission)) for front in fronts]
            await stop.wait()
            for task in running:
                task.cancel()
            await asyncio.wait(running)


async def saved_handles(database: str) -> tuple[list[str], int]:
    """After a kill: the handles of all turns, and the number of turns of which one more message may be shown.

    That is a message which was posted and whose id was not committed: at most one of a turn that was leased, and not
    yet shown or in the middle of its delivery.
    """
    async with open_store(database) as store:
        found = await store.run(lambda c: c.scalars(sa.text("SELECT handle FROM turns")).all())
        exposed = "SELECT count(*) FROM turns WHERE owner != '' AND (handle = '' OR state = 'answered')"
        return list(found), await store.run(lambda c: int(c.scalar(sa.text(exposed)) or 0))


def _front(platform: str, settings: Mapping[str, str], clock: Clock) -> AbstractAsyncContextManager[FrontEnd]:
    if platform == "telegram":
        return open_telegram(TelegramSettings.model_validate(settings), clock, QUICK)
    if platform == "web":
        return open_web(WebSettings(chat=True), clock)
    return open_slack(SlackSettings.model_validate(settings), clock, shared_history=False)


def _desk(plan: Plan) -> HelpDesk | None:
    if not plan.desk:
        return None
    return HelpDesk(place=ConversationKey.parse(plan.desk), operators=ANYBODY, timeout=1e6)


def _crashing_sink(crash_point: CrashPoint) -> Stage:
    """The stage with crash points after the first and the third piece of a reply, once those who look on have it."""

    async def stage(turn: Turn, call_next: Handler) -> Reply:
        points = iter(("first piece", "", "third piece"))

        async def sink(piece: str) -> None:
            await turn.sink(piece)
            if (point := next(points, "")) and crash_point.is_due(point):
                for _ in range(LOOP_ITERATIONS):
                    await asyncio.sleep(0)
                crash_point.crash()

        return await call_next(replace(turn, sink=sink))

    return stage


def _answer(prompt: Prompt) -> str:
    """Reply to the last word of the message: quoted ones may stand before it."""
    return said_to(WORD.findall(prompt[-1].content)[-1])
