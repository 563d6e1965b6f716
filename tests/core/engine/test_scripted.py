"""The scripted engine: its scripts and what it records."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.engine.protocol import Engine, Piece
from core.engine.scripted import ScriptedEngine, first_tokens_for, tokens
from core.errors import EngineLost, EngineUnavailable
from core.intent import Intent, IntentReader
from core.messages import Finish, Label, Locale
from core.mood import mood_prompts
from core.prompt import ChatMessage, Prompt
from core.stages.mood import MoodReader

PROMPT: Prompt = (
    ChatMessage(role="system", content="Be kind."),
    ChatMessage(role="user", content="你好 there"),
)


async def read(engine: Engine, *, max_tokens: int = 64) -> list[Piece]:
    async with engine.stream(PROMPT, max_tokens=max_tokens) as pieces:
        return [piece async for piece in pieces]


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


@given(st.text())
def test_tokens_lose_nothing(text: str) -> None:
    """The tokens of any text, joined, give the text."""
    assert "".join(tokens(text)) == text


async def test_echo_says_the_whole_prompt() -> None:
    """The reply contains the role and the text of every message."""
    assert text_of(await read(ScriptedEngine.echo())) == "system: Be kind.\nuser: 你好 there"


async def test_calls_are_recorded() -> None:
    """Prompts for replies and for first tokens are recorded separately."""
    engine = ScriptedEngine.fixed("yes")
    await read(engine)
    await engine.first_token(PROMPT[1:])
    assert engine.prompts == [PROMPT]
    assert engine.first_token_prompts == [PROMPT[1:]]


async def test_slow_takes_the_time_of_the_clock() -> None:
    """Each piece takes its seconds of the given clock and no real time."""
    clock = ManualClock()
    reply = asyncio.create_task(read(ScriptedEngine.slow("one two", 1.5, clock)))
    for _ in range(2):
        assert await clock.until_sleeping() == [1.5]
        clock.advance(1.5)
    assert text_of(await reply) == "one two"


async def test_hanging_falls_silent_and_can_be_left() -> None:
    """After its pieces the stream hangs, and leaving the context closes it."""
    engine = ScriptedEngine.hanging(after=2, text="one two three")
    async with engine.stream(PROMPT, max_tokens=64) as pieces:
        assert [(await anext(pieces)).text for _ in range(2)] == ["one", " two"]
        third = asyncio.ensure_future(anext(pieces))
        await asyncio.sleep(0)
        assert not third.done()
        assert engine.open_streams == 1
        third.cancel()
        await asyncio.wait([third])
    assert (engine.open_streams, engine.finished) == (0, 0)


async def test_dying_recovers() -> None:
    """The first replies raise EngineLost after their pieces; the next one is whole."""
    engine = ScriptedEngine.dying(after=1, times=2, text="one two")
    for _ in range(2):
        async with engine.stream(PROMPT, max_tokens=64) as pieces:
            assert (await anext(pieces)).text == "one"
            with pytest.raises(EngineLost):
                await anext(pieces)
    assert text_of(await read(engine)) == "one two"


async def test_unavailable_until_it_is_back() -> None:
    """Every call raises EngineUnavailable until `available` is set."""
    engine = ScriptedEngine.unavailable()
    for ask in (read(engine), engine.first_token(PROMPT), engine.count_tokens("x"), engine.identity()):
        with pytest.raises(EngineUnavailable):
            await ask
    engine.available = True
    assert (await read(engine))[-1].finish is Finish.STOP


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("label", list(Label))
async def test_the_scripted_mood_is_the_mood_read(label: Label, language: Locale) -> None:
    """The scripted label comes out of the scoring, in both languages."""
    engine = ScriptedEngine.fixed(mood=lambda text: label if "sunny" in text else Label.NEUTRAL)
    assert (await MoodReader(engine).read("sunny", language)).label is label


async def test_an_intent_is_scripted_beside_the_mood() -> None:
    """The scripted intent and the scripted mood do not change each other."""
    engine = ScriptedEngine.fixed(mood=lambda _: Label.NEGATIVE)
    engine.intent = lambda _: Intent.THANKS
    assert (await MoodReader(engine).read("sunny", "en")).label is Label.NEGATIVE
    assert (await IntentReader(engine).read("sunny", "en")).label is Intent.THANKS


async def test_no_logprobs_when_no_label_is_scripted() -> None:
    """A mood of None gives no first tokens, as a server without logprobs does."""
    assert await ScriptedEngine.fixed(mood=lambda _: None).first_token(PROMPT) == {}
    assert await ScriptedEngine.fixed().first_token(PROMPT) == first_tokens_for(mood_prompts(), Label.NEUTRAL)
