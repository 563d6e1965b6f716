"""Turns on two model servers over real sockets, of which one dies."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from core.chat import chatbot
from core.clock import ManualClock
from core.engine.deadline import IdleTimeoutEngine
from core.engine.member import Member
from core.engine.openai import OpenAIEngine
from core.engine.protocol import Engine
from core.engine.scripted import ScriptedEngine
from core.engine.several import open_several
from core.errors import EngineLost
from core.messages import Reply, Turn
from core.pipeline import Handler
from core.prompt import Persona, Prompt
from core.stages.cache import AnswerCache
from core.stages.mood import MoodReader
from core.stages.retry import PAUSE
from core.store import Store
from tests.core.conftest import Write
from tests.core.engine.fake_server import serving
from tests.options import chat_with, server_with

PEOPLE = [f"person {number}" for number in range(8)]


@dataclass(kw_only=True)
class Mortal:
    """A server whose replies stop after their first words, until it goes on or dies."""

    decided: asyncio.Event = field(default_factory=asyncio.Event)
    is_dead: bool = False
    engine: ScriptedEngine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = ScriptedEngine(self._script)

    async def _script(self, prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
        yield "To "
        await self.decided.wait()
        if self.is_dead:
            raise EngineLost
        yield prompt[-1].content

    def die(self) -> None:
        """Break off all replies, and answer nothing from now on."""
        self.is_dead, self.engine.available = True, False
        self.decided.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question under way, and what its sender has seen of the answer."""

    reply: asyncio.Task[Reply]
    shown: list[str]


def ask(bot: Handler, write: Write, number: int, who: str) -> Asked:
    shown: list[str] = []

    async def sink(piece: str) -> None:
        shown.append(piece)

    turn = Turn(id=number, message=write(who, who=who), sink=sink)
    return Asked(reply=asyncio.ensure_future(bot(turn)), shown=shown)


async def replies(asked: Sequence[Asked], clock: ManualClock) -> list[Reply]:
    """The replies, while the clock passes the pauses before retries."""
    while not all(each.reply.done() for each in asked):
        if (await clock.until_sleeping())[0] <= PAUSE:
            clock.advance(PAUSE)
        await asyncio.sleep(0.01)
    return [each.reply.result() for each in asked]


def bot_of(engine: Engine, store: Store, clock: ManualClock, persona: Persona) -> Handler:
    answers = AnswerCache(size=1, ttl=1, timer=clock.monotonic)
    return chatbot(store, engine, MoodReader(engine), answers, clock, chat_with(persona=persona, show_mood="never"))


async def test_a_dead_server_costs_its_running_turns_one_retry(
    sqlite_store: Store, clock: ManualClock, write: Write, persona: Persona
) -> None:
    """Replies that a dying server had begun are written once more by the other one, and those of the other go on.

    Each person gets one whole answer, no apology, and sees no second preview.
    """
    one, other = Mortal(), Mortal()
    async with AsyncExitStack() as stack:
        members = []
        for name, mortal in (("one", one), ("other", other)):
            client = OpenAIEngine(server_with(url=await stack.enter_async_context(serving(mortal.engine))))
            timed = IdleTimeoutEngine(client, clock, 30)
            members.append(Member(name=name, place=name, weight=1, engine=timed))
        engine = await stack.enter_async_context(open_several(members, clock, slots=16))
        bot = bot_of(engine, sqlite_store, clock, persona)
        asked = [ask(bot, write, number, who) for number, who in enumerate(PEOPLE)]
        while not all(each.shown for each in asked):
            await asyncio.sleep(0.01)
        lost, kept = len(one.engine.prompts), len(other.engine.prompts)
        assert lost > 1
        assert kept > 1
        one.die()
        other.decided.set()
        answers = await replies(asked, clock)
    assert [reply.text for reply in answers] == [f"To {who}" for who in PEOPLE]
    assert not any(reply.error for reply in answers)
    assert (len(one.engine.prompts), len(other.engine.prompts)) == (lost, kept + lost)
    assert sorted("".join(each.shown) == "To " for each in asked) == [False] * kept + [True] * lost
