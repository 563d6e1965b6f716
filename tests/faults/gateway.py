"""A gateway of the product that serves the fake platform and can crash at any point of a message's way.

Only the front end and the crash points belong to the tests.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import uuid4

import sqlalchemy as sa
import structlog

from core.admission import Admission
from core.backoff import Backoff
from core.chat import chatbot
from core.clock import SystemClock
from core.delivery import Claim
from core.engine.local import open_local
from core.engine.protocol import Engine
from core.engine.scripted import ScriptedEngine
from core.engine.timings import Timings
from core.prompt import Persona, Prompt
from core.stages.cache import AnswerCache
from core.stages.mood import MoodReader
from core.store import Store
from core.store.history import Keeping
from core.store.schema import turns
from core.store.turns import disown
from core.worker import Worker, working
from tests.faults.crash_points import CrashingEngine, CrashingStore, CrashPoint, open_crashing
from tests.faults.link import FRONT, NEXT_PART, PLATFORM, Front, open_link
from tests.options import chat_with, child_with, reply_with, unthrottled_with, worker_with

P = ParamSpec("P")
R = TypeVar("R")

LEASE, POLL, GRACE = 0.3, 0.05, 20.0
MAX_BYTES = 2_000
LIMITS = unthrottled_with(
    max_queued=1_000,
    max_wait=1e6,
    allow=frozenset({f"{PLATFORM}:*"}),
)
PERSONA = Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})
TIMINGS = Timings(restart=Backoff(first=0.05, longest=0.1), probe_starting=0.02, probe_ready=0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one gateway process runs. At the given hits of `point` it sends `signal` to itself or to its model child.

    If `disowns` is set, it takes over the open turns of earlier processes at once; if not, it waits for their leases to
    expire. `engine` is "scripted", "echo", or "child", which runs `command` for `model`. `without` names the guard that
    is switched off.
    """

    port: int
    database: str
    point: str = ""
    hits: tuple[int, ...] = (1,)
    signal: int = signal.SIGKILL
    victim: str = "gateway"
    slots: int = 1
    engine: str = "scripted"
    model: str = "mini"
    command: tuple[str, ...] = ()
    data_dir: str = ""
    idle_seconds: float = 30.0
    reply_tokens: int = 256
    without: str = ""
    disowns: bool = True
    max_bytes: int = MAX_BYTES


class Child:
    """The model child. Its process id comes from the log of its supervisor."""

    def __init__(self, crash_point: CrashPoint) -> None:
        self.pid = 0
        self._crash_point = crash_point

    def note(self, _logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if entry["event"] == "model server started":
            self.pid = entry["pid"]
            self._crash_point.reach("child started")
        return entry

    def hold(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGSTOP)


class UnguardedStore:
    """A store with a guard switched off: the fence on a turn's owner ("fence") or saving placeholder ids."""

    def __init__(self, store: Store, without: str) -> None:
        self._store = store
        self._without = without
        self.read = store.read
        self.scrub = store.scrub

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        any_verb: Callable[..., R] = verb

        def unguarded(connection: sa.Connection) -> R:
            if self._without == "committed handle" and verb.__name__ == "set_handle":
                return True  # type: ignore[return-value]
            if self._without == "fence" and len(args) > 1 and isinstance(args[0], Claim):
                owner = connection.scalar(sa.select(turns.c.owner).where(turns.c.id == args[0].id))
                return any_verb(connection, args[0], owner, *args[2:], **kwargs)
            return verb(connection, *args, **kwargs)

        unguarded.__name__ = verb.__name__
        return await self._store.run(unguarded)


@asynccontextmanager
async def open_gateway(plan: Plan) -> AsyncIterator[Store]:
    """Compose a gateway as bots/app.py does. Leaving the context drains it."""
    clock = SystemClock()

    def crash() -> None:
        victim = child.pid if plan.victim == "child" else os.getpid()
        if plan.signal == signal.SIGSTOP and plan.victim == "gateway":
            plain._threads.submit(os.kill, victim, plan.signal).result()  # between transactions
        else:
            os.kill(victim, plan.signal)

    crash_point = CrashPoint(plan.point, plan.hits, crash)
    child = Child(crash_point)
    structlog.configure(processors=[structlog.processors.add_log_level, child.note, structlog.dev.ConsoleRenderer()])
    async with (
        open_link(plan.port) as link,
        open_crashing(plan.database, crash_point) as plain,
        _open_engine(plan, crash_point, child) as engine,
    ):
        if plan.disowns:
            await plain.run(disown, FRONT)
        crashing = CrashingStore(plain, crash_point)
        store = UnguardedStore(crashing, plan.without) if plan.without else crashing
        options = chat_with(persona=PERSONA, reply=reply_with(max_tokens=plan.reply_tokens))
        answers = AnswerCache(size=64, ttl=60, timer=clock.monotonic)
        handler = chatbot(store, engine, MoodReader(engine), answers, clock, options)
        front = Front(link, crash_point, plan.without)
        chosen = worker_with(
            owner=uuid4().hex,
            slots=plan.slots,
            lease=LEASE,
            poll=POLL,
            keeping=Keeping(max_tokens=1_000_000, shared=False),
        )
        worker = Worker(store, handler, {FRONT: front}, clock, chosen)
        async with working(worker, GRACE):
            serving = asyncio.create_task(
                front.serve(Admission(store, clock, replace(LIMITS, max_bytes=plan.max_bytes), worker))
            )
            try:
                yield plain
            finally:
                serving.cancel()
                await asyncio.wait([serving])


async def run(plan: Plan, stop: asyncio.Event) -> None:
    """Run until `stop` is set."""
    async with open_gateway(plan):
        await stop.wait()


@asynccontextmanager
async def _open_engine(plan: Plan, crash_point: CrashPoint, child: Child) -> AsyncIterator[Engine]:
    if plan.engine == "child":
        options = child_with(data_dir=Path(plan.data_dir), model=plan.model, threads=1)
        if plan.command:
            options = replace(options, command=plan.command)
        async with open_local(options, SystemClock(), idle_seconds=plan.idle_seconds, timings=TIMINGS) as engine:
            yield CrashingEngine(engine, crash_point, child.hold)
    elif plan.engine == "echo":
        yield ScriptedEngine.echo()
    else:
        yield CrashingEngine(
            ScriptedEngine.replying(lambda prompt: _answer(prompt, crash_point)), crash_point, child.hold
        )


def _answer(prompt: Prompt, crash_point: CrashPoint) -> str:
    text = prompt[-1].content
    if "poison" in text:
        crash_point.reach("poison")
    parts = 3 if "long" in text else 1
    return NEXT_PART.join(f"This is what I say to {text.split()[0]} after thought {n}." for n in range(parts))
