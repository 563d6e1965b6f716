"""Several servers of one model: where calls go, and what a dead server costs."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from core.clock import ManualClock
from core.engine.member import REST, Member
from core.engine.protocol import Engine
from core.engine.scripted import ScriptedEngine
from core.engine.several import open_several
from core.errors import EngineLost, EngineRefused, EngineUnavailable
from core.prompt import ChatMessage, Prompt

PROMPT: Prompt = (ChatMessage(role="user", content="Hi"),)
USERS = [f"user {number}" for number in range(40)]


class Refusing(ScriptedEngine):
    """Refuses every classification, as a server whose key is wrong."""

    async def first_token(self, prompt: Prompt, *, user: str = "") -> dict[bytes, float]:
        raise EngineRefused(status=401, reason="invalid_api_key")


class Counted(ScriptedEngine):
    """Counts how often it was asked for its model."""

    asked = 0

    async def identity(self) -> str:
        self.asked += 1
        return await super().identity()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The engine over several scripted servers."""

    engine: Engine
    scripts: Sequence[ScriptedEngine]

    async def reply(self, user: str) -> str:
        async with self.engine.stream(PROMPT, max_tokens=9, user=user) as pieces:
            return "".join([piece.text async for piece in pieces])

    async def place(self, user: str) -> int:
        """The number of the server that answers a user."""
        before = [len(script.users) for script in self.scripts]
        await self.reply(user)
        (number,) = [at for at, script in enumerate(self.scripts) if len(script.users) > before[at]]
        return number

    async def users_of(self, number: int) -> list[str]:
        """The users whose server this is."""
        return [user for user in USERS if await self.place(user) == number]

    @asynccontextmanager
    async def busy(self, user: str, replies: int) -> AsyncIterator[None]:
        """Replies of a user that go on meanwhile."""
        async with AsyncExitStack() as stack:
            for _ in range(replies):
                await stack.enter_async_context(self.engine.stream(PROMPT, max_tokens=9, user=user))
            yield


@asynccontextmanager
async def site(
    clock: ManualClock, *scripts: ScriptedEngine, weights: Sequence[int] = (), slots: int = 16
) -> AsyncIterator[Site]:
    members = [
        Member(name=f"s{number}", place=f"http://s{number}/v1", weight=weight, engine=script)
        for number, (script, weight) in enumerate(zip(scripts, weights or [1] * len(scripts), strict=True))
    ]
    async with open_several(members, clock, slots=slots) as engine:
        yield Site(engine=engine, scripts=scripts)


def fixed(count: int) -> list[ScriptedEngine]:
    return [ScriptedEngine.fixed("ok") for _ in range(count)]


def flaky() -> ScriptedEngine:
    """A server that answers every call but loses each reply while its name is "broken"."""

    async def script(_prompt: Prompt, _call: int) -> AsyncGenerator[str, None]:
        yield "half"
        if engine.name == "broken":
            raise EngineLost

    engine = ScriptedEngine(script)
    return engine


async def until_asked(clock: ManualClock, seconds: float) -> None:
    """Let a server that is down be asked after its pause, and hear its answer."""
    await clock.until_sleeping()
    clock.advance(seconds)
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_conversation_stays_with_its_server(clock: ManualClock) -> None:
    """Each user is always answered by the same of three servers, and every server has some."""
    async with site(clock, *fixed(3)) as servers:
        first = [await servers.place(user) for user in USERS]
        assert [await servers.place(user) for user in USERS] == first
        assert set(first) == {0, 1, 2}


async def test_what_belongs_to_nobody_goes_to_the_least_loaded_server(clock: ManualClock) -> None:
    """Classifications avoid the server with more calls for its weight, and take turns among equals."""
    async with site(clock, *fixed(2), weights=[1, 3]) as servers:
        for _ in range(4):
            await servers.engine.first_token(PROMPT, user="labels")
        assert [len(script.first_token_prompts) for script in servers.scripts] == [2, 2]
        small, large = (await servers.users_of(0))[0], (await servers.users_of(1))[0]
        async with servers.busy(small, 1), servers.busy(large, 2):
            await servers.engine.first_token(PROMPT, user="labels")
        assert [len(script.first_token_prompts) for script in servers.scripts] == [2, 3]


async def test_a_drained_server_gets_no_calls(clock: ManualClock) -> None:
    """A server of weight 0 gets neither replies nor classifications, also if the others are down. It still forgets."""
    one, drained = fixed(2)
    async with site(clock, one, drained, weights=[1, 0]) as servers:
        for user in USERS:
            await servers.reply(user)
            await servers.engine.first_token(PROMPT)
        one.available = False
        with pytest.raises(EngineUnavailable):
            await servers.reply("anybody")
        assert (drained.users, drained.first_token_prompts) == ([], [])
        one.available = True
        assert await servers.engine.forget(["a"])
        assert drained.forgotten == ["a"]


async def test_a_full_server_is_passed_over(clock: ManualClock) -> None:
    """A reply goes to the next server if it would have to wait at its own, and not before; not if all are full."""
    async with site(clock, *fixed(2), slots=4) as servers:
        user, *_ = await servers.users_of(0)
        async with servers.busy(user, 1):
            assert await servers.place(user) == 0
        async with servers.busy(user, 2):
            assert await servers.place(user) == 1
        async with servers.busy(user, 4):
            assert await servers.place(user) == 0


async def test_a_dead_server_costs_a_new_reply_nothing(clock: ManualClock) -> None:
    """A server that cannot be reached is passed over at once, and is not tried by the next calls."""
    async with site(clock, *fixed(2)) as servers:
        user, *_ = await servers.users_of(0)
        servers.scripts[0].available = False
        with capture_logs() as logs:
            assert await servers.place(user) == 1
        assert [(entry["event"], entry["server"]) for entry in logs] == [("model server down", "s0")]
        servers.scripts[0].available = True
        assert await servers.place(user) == 1


async def test_a_server_that_answers_again_gets_its_conversations_back(clock: ManualClock) -> None:
    """It is asked after pauses that grow while it is down; once it answers, it gets one call at a time until one has
    ended well.
    """
    async with site(clock, *fixed(2)) as servers:
        one, two, three, *_ = await servers.users_of(0)
        down = servers.scripts[0]
        down.available = False
        assert await servers.place(one) == 1
        for pause in (REST.first, 2 * REST.first):
            assert await clock.until_sleeping() == [pause]
            await until_asked(clock, pause)
            assert await servers.place(one) == 1
        down.available = True
        await until_asked(clock, 4 * REST.first)
        async with servers.busy(two, 1):
            assert down.users[-1] == two
            assert await servers.place(three) == 1
        assert await servers.place(three) == 0
        assert await servers.place(one) == 0


async def test_a_lost_reply_is_not_risked_at_the_same_server_again(clock: ManualClock) -> None:
    """A server that answers and loses each reply costs a conversation one loss, though it may be up again."""
    flaking = flaky()
    async with site(clock, flaking, ScriptedEngine.fixed("ok")) as servers:
        one, two, *_ = await servers.users_of(0)
        flaking.name = "broken"
        with pytest.raises(EngineLost):
            await servers.reply(one)
        assert await servers.place(one) == 1
        await until_asked(clock, REST.first)
        assert await servers.place(one) == 1
        flaking.name = "mended"
        assert await servers.place(two) == 0
        assert await servers.place(one) == 0


async def test_a_refusal_says_nothing_of_a_servers_health(clock: ManualClock) -> None:
    """A refused call is not passed on to the next server, and its server stays up."""
    refusing = Refusing.fixed("ok")
    async with site(clock, refusing, ScriptedEngine.fixed("ok")) as servers:
        user, *_ = await servers.users_of(0)
        with capture_logs() as logs:
            for _ in servers.scripts:
                with suppress(EngineRefused):
                    await servers.engine.first_token(PROMPT)
        assert (logs, servers.scripts[1].first_token_prompts) == ([], [PROMPT])
        assert await servers.place(user) == 0


async def test_all_servers_down_is_one_server_down(clock: ManualClock) -> None:
    """If no server answers, calls raise EngineUnavailable, and the first server that is back answers at once."""
    async with site(clock, *fixed(3)) as servers:
        for script in servers.scripts:
            script.available = False
        for call in (servers.reply("a"), servers.engine.count_tokens("a"), servers.engine.identity()):
            with pytest.raises(EngineUnavailable):
                await call
        servers.scripts[2].available = True
        assert await servers.place("a") == 2
        assert await servers.engine.count_tokens("one two") == 2


async def test_forgetting_is_for_all_servers(clock: ManualClock) -> None:
    """All servers are told, though one is down, whose error is raised. If one cannot forget, the answer is no."""
    one, down, other = fixed(3)
    async with site(clock, one, down, other) as servers:
        assert await servers.engine.forget(["a"])
        down.available = False
        with pytest.raises(EngineUnavailable):
            await servers.engine.forget(["b"])
        assert [script.forgotten for script in servers.scripts] == [["a", "b"], ["a"], ["a", "b"]]
        down.available, other.can_forget = True, False
        assert not await servers.engine.forget(["b"])


async def test_the_identity_does_not_depend_on_who_is_up(clock: ManualClock) -> None:
    """Servers of one model have its identity; those of two models have one of both, which is logged once. One that is
    down is not asked again for every turn.
    """
    one, other = ScriptedEngine.fixed("ok"), Counted.fixed("ok")
    async with site(clock, one, other) as servers:
        with capture_logs() as logs:
            assert await servers.engine.identity() == "scripted"
            other.name = "newer"
            assert await servers.engine.identity() == "newer | scripted"
            other.available = False
            for _ in range(2):
                assert await servers.engine.identity() == "newer | scripted"
        assert [entry["event"] for entry in logs].count("model servers differ") == 1
        assert other.asked == 3
        other.available, other.name = True, "scripted"
        await until_asked(clock, REST.first)
        assert await servers.engine.identity() == "scripted"


async def test_metrics_of_all_servers_that_answer(clock: ManualClock) -> None:
    """One server that is down is told as such; without any there are no metrics."""
    one, other = fixed(2)
    one.own_metrics = b"tokens 1\n"
    async with site(clock, one, other) as servers:
        other.available = False
        text = (await servers.engine.metrics()).decode()
        assert 'tokens{server="s0"} 1.0' in text
        assert 'parley_model_server_up{server="s1"} 0.0' in text
        one.available = False
        with pytest.raises(EngineUnavailable):
            await servers.engine.metrics()


async def test_shares_follow_the_weights(clock: ManualClock) -> None:
    """A server of weight 3 gets about three times the conversations of one of weight 1."""
    async with site(clock, *fixed(2), weights=[1, 3]) as servers:
        placed = Counter([await servers.place(f"{number}") for number in range(200)])
        assert 30 <= placed[0] <= 70
