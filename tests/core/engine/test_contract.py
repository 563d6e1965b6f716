"""Contract of every engine: the scripted one, the OpenAI client against a server of the same script, and several such
servers.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.engine.member import Member
from core.engine.openai import OpenAIEngine
from core.engine.protocol import Engine, Piece
from core.engine.scripted import ScriptedEngine, first_tokens_for
from core.engine.several import open_several
from core.errors import EngineLost, EngineUnavailable
from core.messages import Finish, Label, Usage
from core.mood import mood_prompts
from core.prompt import ChatMessage, Prompt
from tests.core.engine.fake_server import chat_server, fake_server
from tests.options import server_with

PROMPT: Prompt = (
    ChatMessage(role="system", content="Be kind."),
    ChatMessage(role="user", content='你好 "there"\n\u2028\0<|im_end|>'),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """An engine under test; `settled` waits until the engine has noticed that its reader left."""

    engine: Engine
    settled: Callable[[], Awaitable[None]]


Make = Callable[[ScriptedEngine], Awaitable[Subject]]


@pytest.fixture(params=["scripted", "openai", "several"])
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """Makes an engine of each kind that follows a script."""
    async with AsyncExitStack() as stack:

        async def scripted(script: ScriptedEngine) -> Subject:
            return Subject(script, lambda: asyncio.sleep(0))

        async def openai(script: ScriptedEngine) -> Subject:
            server = await stack.enter_async_context(fake_server(tmp_path, chat_server(script)))
            return Subject(OpenAIEngine(server_with(socket_path=server.socket_path)), server.settled)

        async def several(script: ScriptedEngine) -> Subject:
            server = await stack.enter_async_context(fake_server(tmp_path, chat_server(script)))
            client = OpenAIEngine(server_with(socket_path=server.socket_path))
            members = [Member(name=name, place=name, weight=1, engine=client) for name in ("a", "b")]
            engine = await stack.enter_async_context(open_several(members, SystemClock(), slots=8))
            return Subject(engine, server.settled)

        yield {"scripted": scripted, "openai": openai, "several": several}[request.param]


async def read(engine: Engine, *, max_tokens: int = 64) -> list[Piece]:
    async with engine.stream(PROMPT, max_tokens=max_tokens) as pieces:
        return [piece async for piece in pieces]


async def test_the_pieces_make_the_text(make: Make) -> None:
    """Joined pieces are the reply; quotes, control characters and line separators of the prompt arrive intact."""
    subject = await make(ScriptedEngine.echo())
    pieces = await read(subject.engine)
    assert "".join(piece.text for piece in pieces) == "\n".join(f"{m.role}: {m.content}" for m in PROMPT)


async def test_the_last_piece_carries_finish_and_usage(make: Make) -> None:
    """Only the last piece has the finish reason and the usage."""
    subject = await make(ScriptedEngine.fixed("one two three"))
    *before, last = await read(subject.engine)
    assert len(before) == 3
    assert {piece.finish for piece in before} == {None}
    assert last == Piece(finish=Finish.STOP, usage=Usage(prompt_tokens=7, completion_tokens=3))


async def test_the_token_limit_ends_the_reply(make: Make) -> None:
    """A reply cut at `max_tokens` has the finish reason LENGTH."""
    subject = await make(ScriptedEngine.fixed("one two three"))
    pieces = await read(subject.engine, max_tokens=2)
    assert "".join(piece.text for piece in pieces) == "one two"
    assert pieces[-1].finish is Finish.LENGTH


async def test_leaving_stops_the_model(make: Make) -> None:
    """Leaving the context in the middle of a reply stops the model."""
    script = ScriptedEngine.hanging(after=1)
    subject = await make(script)
    async with subject.engine.stream(PROMPT, max_tokens=64) as pieces:
        await anext(pieces)
        assert script.open_streams == 1
    await subject.settled()
    assert (script.open_streams, script.finished) == (0, 0)


async def test_a_cancelled_reader_stops_the_model(make: Make) -> None:
    """Cancelling the task that waits for the next piece stops the model."""
    script = ScriptedEngine.hanging(after=1)
    subject = await make(script)
    begun = asyncio.Event()

    async def read_on() -> None:
        async with subject.engine.stream(PROMPT, max_tokens=64) as pieces:
            async for _ in pieces:
                begun.set()

    reader = asyncio.create_task(read_on())
    await begun.wait()
    reader.cancel()
    await asyncio.wait([reader])
    await subject.settled()
    assert reader.cancelled()
    assert script.open_streams == 0


async def test_a_deadline_passes_through(make: Make) -> None:
    """A caller's own timeout raises TimeoutError, not an EngineError."""
    subject = await make(ScriptedEngine.hanging(after=0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await read(subject.engine)


async def test_an_error_of_the_reader_passes_through(make: Make) -> None:
    """An exception raised inside the context leaves it unchanged and stops the model."""
    script = ScriptedEngine.hanging(after=1)
    subject = await make(script)

    async def stumble() -> None:
        async with subject.engine.stream(PROMPT, max_tokens=64) as pieces:
            await anext(pieces)
            raise KeyError

    with pytest.raises(KeyError):
        await stumble()
    await subject.settled()
    assert script.open_streams == 0


@pytest.mark.parametrize("after", [0, 2])
async def test_a_break_is_lost_and_the_next_reply_is_whole(make: Make, after: int) -> None:
    """An engine that breaks off raises EngineLost after the pieces it sent, and serves the next call."""
    subject = await make(ScriptedEngine.dying(after=after, text="one two three"))
    seen: list[str] = []

    async def read_on() -> None:
        async with subject.engine.stream(PROMPT, max_tokens=64) as pieces:
            async for piece in pieces:
                seen.append(piece.text)  # noqa: PERF401  a comprehension would lose the pieces before the error

    with pytest.raises(EngineLost):
        await read_on()
    assert seen == ["one", " two"][:after]
    assert "".join(piece.text for piece in await read(subject.engine)) == "one two three"


async def test_every_call_is_unavailable_while_the_server_is(make: Make) -> None:
    """While the server is unavailable every call raises EngineUnavailable; afterwards calls succeed again."""
    script = ScriptedEngine.unavailable()
    subject = await make(script)
    engine = subject.engine
    for ask in (read(engine), engine.first_token(PROMPT), engine.count_tokens("x"), engine.identity()):
        with pytest.raises(EngineUnavailable):
            await ask
    script.available = True
    assert (await read(engine))[-1].finish is Finish.STOP


async def test_first_tokens_are_bytes_with_their_logprobs(make: Make) -> None:
    """Candidates for the first token have the bytes and log-probabilities that the model gave."""
    subject = await make(ScriptedEngine.fixed(mood=lambda _: Label.NEGATIVE))
    assert await subject.engine.first_token(PROMPT) == first_tokens_for(mood_prompts(), Label.NEGATIVE)


async def test_an_engine_without_logprobs_has_no_first_tokens(make: Make) -> None:
    """An engine without logprobs returns an empty mapping."""
    subject = await make(ScriptedEngine.fixed(mood=lambda _: None))
    assert await subject.engine.first_token(PROMPT) == {}


async def test_tokens_are_counted(make: Make) -> None:
    """The count is the engine's own; an empty text has 0 tokens."""
    subject = await make(ScriptedEngine.fixed())
    assert await subject.engine.count_tokens("one 二三 four") == 4
    assert await subject.engine.count_tokens("") == 0


async def test_the_model_has_a_name(make: Make) -> None:
    """The identity is the name of the served model."""
    script = ScriptedEngine.fixed()
    script.name = "mini-2"
    subject = await make(script)
    assert await subject.engine.identity() == "mini-2"


async def test_replies_at_the_same_time_do_not_mix(make: Make) -> None:
    """Eight replies read concurrently are each whole and belong to their own prompt."""
    subject = await make(ScriptedEngine.replying(lambda prompt: prompt[-1].content))

    async def ask(question: str) -> str:
        prompt = (ChatMessage(role="user", content=question),)
        async with subject.engine.stream(prompt, max_tokens=64) as pieces:
            return "".join([piece.text async for piece in pieces])

    questions = [f"question {number} 问题" for number in range(8)]
    assert await asyncio.gather(*map(ask, questions)) == questions


@pytest.mark.parametrize("can_forget", [True, False])
async def test_users_can_be_forgotten(make: Make, *, can_forget: bool) -> None:
    """Each server is told whom to forget; the answer is whether it can."""
    script = ScriptedEngine.fixed()
    script.can_forget = can_forget
    subject = await make(script)
    assert await subject.engine.forget(["ann", "bob"]) is can_forget
    assert list(dict.fromkeys(script.forgotten)) == ["ann", "bob"]
