"""Gateways side by side on one database, composed as bots/app.py does.

The clock stands still unless a test moves it, so that nothing is found by a poll: a gateway knows only what it has done
itself, or what it got a notice of.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from core.accepting import Accepted
from core.admission import Admission
from core.chat import chatbot
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.forgetting import Memory, forgetting
from core.messages import Message
from core.neighbours import looking
from core.notice_board import NoticeBoard, hearing
from core.prompt import Persona
from core.side_by_side import SIDE_BY_SIDE
from core.stages.cache import AnswerCache
from core.stages.mood import MoodReader
from core.store import Database, open_store, transcripts
from core.store.notices import Notice, Topic
from core.store.schema import turns
from core.store.states import DELIVERED
from core.worker import Worker, working
from tests.core.test_worker import FRONT, Shown
from tests.options import chat_with, limits_with, worker_with

LIMITS = limits_with(per_minute=1e9, burst=10**6, max_queued=10**6, max_wait=1e9, allow=frozenset({"test:*"}))
PERSONA = Persona(name="test", system={"en": "You are a test.", "zh": "你是测试。"})


PATIENCE = 10.0
"""Real seconds after which a test fails."""
SLEEPERS = 4
"""Of a gateway that has nothing to do: it looks for questions, replies, expired leases and deletions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """One of the gateways, with what it shows."""

    admission: Admission
    store: Database
    worker: Worker
    answers: AnswerCache
    memory: Memory
    engine: ScriptedEngine
    shown: Shown

    async def accept(self, message: Message) -> int:
        outcome = await self.admission.accept(message)
        assert isinstance(outcome, Accepted)
        return outcome.turn_id

    async def ask(self, message: Message) -> str:
        """The reply to a message that this gateway accepts, once it is given and closed."""
        turn_id = await self.accept(message)
        while not await self.store.read(is_closed, turn_id):
            await asyncio.sleep(0)
        claim = await self.store.read(transcripts.one, turn_id)
        assert claim is not None
        assert claim.reply is not None
        return claim.reply.text


async def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds. Raises TimeoutError if it does not for long."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.001)


def is_closed(connection: sa.Connection, turn_id: int) -> bool:
    return bool(connection.scalar(sa.select(turns.c.state).where(turns.c.id == turn_id)) == DELIVERED)


@asynccontextmanager
async def open_neighbour(
    url: str, owner: str, engine: ScriptedEngine, clock: ManualClock, *, is_deaf: bool = False, works: bool = True
) -> AsyncIterator[Neighbour]:
    """A gateway, once it hears notices and has found nothing to do. A deaf one hears none."""
    sleeping = len(await clock.until_sleeping(0))
    shown, board = Shown(), NoticeBoard(owner)
    answers = AnswerCache(size=9, ttl=60, timer=clock.monotonic)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(url, beside=SIDE_BY_SIDE))
        chat = chat_with(persona=PERSONA)
        handler = chatbot(store, engine, MoodReader(engine), answers, clock, chat, owner=owner)
        worker = Worker(store, handler, {FRONT: shown}, clock, worker_with(owner=owner))
        memory = Memory(store=store, engine=engine, clock=clock, owner=owner)
        stack.enter_context(looking(board, worker, answers, store))
        await stack.enter_async_context(forgetting(memory, board))
        if not is_deaf:
            await stack.enter_async_context(_hearing(store, board, clock))
        if works:
            await stack.enter_async_context(working(worker, grace=0))
        await clock.until_sleeping(sleeping + (SLEEPERS if works else 1))
        admission = Admission(store, clock, LIMITS, worker, board=board)
        yield Neighbour(
            admission=admission,
            store=store,
            worker=worker,
            answers=answers,
            memory=memory,
            engine=engine,
            shown=shown,
        )


@asynccontextmanager
async def _hearing(store: Database, board: NoticeBoard, clock: ManualClock) -> AsyncIterator[None]:
    """Like `hearing`, once the connection stands."""
    stands = asyncio.Event()

    async def look(_notice: Notice) -> None:
        stands.set()

    async with hearing(store.transactions.engine, board, clock):
        with board.looking(Topic.SHOWN, look):
            await stands.wait()
        yield
