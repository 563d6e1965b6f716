"""A real gateway in front of the fake platform, which may die at any point of a message's way.

Only the front end and the points are of the tests; store, door, worker, stages and engines are the product's.
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
from core.chat import chatbot
from core.clock import SystemClock
from core.delivery import Claim
from core.engine.child import ModelChild
from core.engine.local import open_local
from core.engine.protocol import Engine
from core.engine.scripted import ScriptedEngine
from core.engine.supervisor import Patience
from core.prompt import Persona, Prompt
from core.stages.cache import AnswerCache
from core.store import Store, open_store
from core.store.history import Keeping
from core.store.schema import turns
from core.store.turns import disown
from core.worker import Worker, working
from tests.faults.fuse import Fuse, FusedEngine, FusedStore
from tests.faults.link import FRONT, NEXT_PART, PLATFORM, Front, open_link
from tests.options import chat_with, limits_with, reply_with, worker_with

P = ParamSpec("P")
R = TypeVar("R")

LEASE, POLL, GRACE = 0.3, 0.05, 20.0
MAX_BYTES = 2_000
LIMITS = limits_with(
    per_minute=6e6,
    burst=10_000,
    max_queued=1_000,
    max_wait=1e6,
    allow=frozenset({f"{PLATFORM}:*"}),
)
PERSONA = Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})
PATIENCE = Patience(first_pause=0.05, longest_pause=0.1, look_starting=0.02, look_ready=0.05)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One life of a gateway. At the given passings of `point` it sends itself, or its model child, a signal.

    Unless it `disowns` the turns of those before it, it waits until their leases have run out.

    `engine` is "scripted", "echo", or "child", which runs `command` for `model`. `without` names a guard to do without.
    """

    port: int
    database: str
    point: str = ""
    passings: tuple[int, ...] = (1,)
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
    """The model child, known from the log of its supervisor."""

    def __init__(self, fuse: Fuse) -> None:
        self.pid = 0
        self._fuse = fuse

    def note(self, _logger: object, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if entry["event"] == "model server started":
            self.pid = entry["pid"]
            self._fuse.reach("child started")
        return entry

    def hold(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGSTOP)


class Careless:
    """A store whose turns belong to whoever writes to them, or that does not keep the ids of placeholders."""

    def __init__(self, store: Store, without: str) -> None:
        self._store = store
        self._without = without
        self.scrub = store.scrub

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        any_verb: Callable[..., R] = verb

        def careless(connection: sa.Connection) -> R:
            if self._without == "committed handle" and verb.__name__ == "set_handle":
                return True  # type: ignore[return-value]
            if self._without == "fence" and len(args) > 1 and isinstance(args[0], Claim):
                owner = connection.scalar(sa.select(turns.c.owner).where(turns.c.id == args[0].id))
                return any_verb(connection, args[0], owner, *args[2:], **kwargs)
            return verb(connection, *args, **kwargs)

        careless.__name__ = verb.__name__
        return await self._store.run(careless)


@asynccontextmanager
async def open_gateway(plan: Plan) -> AsyncIterator[Store]:
    """The composition, as in bots/app.py. Leaving it drains."""
    clock = SystemClock()

    def blow() -> None:
        victim = child.pid if plan.victim == "child" else os.getpid()
        if plan.signal == signal.SIGSTOP and plan.victim == "gateway":
            plain._thread.submit(os.kill, victim, plan.signal).result()  # in no transaction
        else:
            os.kill(victim, plan.signal)

    fuse = Fuse(plan.point, plan.passings, blow)
    child = Child(fuse)
    structlog.configure(processors=[structlog.processors.add_log_level, child.note, structlog.dev.ConsoleRenderer()])
    async with (
        open_link(plan.port) as link,
        open_store(plan.database) as plain,
        _open_engine(plan, fuse, child) as engine,
    ):
        if plan.disowns:
            await plain.run(disown, FRONT)
        fused = FusedStore(plain, fuse)
        store = Careless(fused, plan.without) if plan.without else fused
        options = chat_with(persona=PERSONA, reply=reply_with(max_tokens=plan.reply_tokens))
        handler = chatbot(store, engine, AnswerCache(size=64, ttl=60, timer=clock.monotonic), clock, options)
        front = Front(link, fuse, plan.without)
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


async def live(plan: Plan, told: asyncio.Event) -> None:
    """Run until told to end."""
    async with open_gateway(plan):
        await told.wait()


@asynccontextmanager
async def _open_engine(plan: Plan, fuse: Fuse, child: Child) -> AsyncIterator[Engine]:
    if plan.engine == "child":
        options = ModelChild(data_dir=Path(plan.data_dir), model=plan.model, threads=1)
        if plan.command:
            options = ModelChild(data_dir=Path(plan.data_dir), model=plan.model, command=plan.command)
        async with open_local(options, SystemClock(), idle_seconds=plan.idle_seconds, patience=PATIENCE) as engine:
            yield FusedEngine(engine, fuse, child.hold)
    elif plan.engine == "echo":
        yield ScriptedEngine.echo()
    else:
        yield FusedEngine(ScriptedEngine.replying(lambda prompt: _answer(prompt, fuse)), fuse, child.hold)


def _answer(prompt: Prompt, fuse: Fuse) -> str:
    text = prompt[-1].content
    if "poison" in text:
        fuse.reach("poison")
    words = f"This is what I say to {text.split()[0]} after some thought."
    return NEXT_PART.join([words] * (3 if "long" in text else 1))
