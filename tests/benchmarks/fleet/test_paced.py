"""The model server without a model takes its time."""

import asyncio
import time

import pytest

from benchmarks.fleet.paced import Pace, PacedEngine, pacing
from benchmarks.simulation.world import Speed
from core.prompt import ChatMessage

STEP = 0.01
PROMPT = (ChatMessage(role="user", content="hello"),)


async def seconds_of(pace: Pace, rows: int, to_read: int, to_write: int) -> float:
    async def write() -> None:
        async for _ in pace.tokens(to_read, to_write):
            pass

    begun = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(rows)))
    return time.perf_counter() - begun


@pytest.mark.parametrize(("rows", "steps"), [(1, 5), (2, 5), (4, 10)])
async def test_rows_are_written_step_by_step(rows: int, steps: int) -> None:
    """Five tokens take five steps for two rows as for one, and twice as long if half of the rows must wait."""
    async with pacing(Speed(step=STEP, slots=2)) as pace:
        took = await seconds_of(pace, rows, 0, 5)
    assert steps * STEP <= took < 3 * steps * STEP


async def test_a_prompt_is_read_first() -> None:
    """Its tokens take their time, in steps of their own."""
    async with pacing(Speed(step=STEP, prompt_token=STEP, chunk=3)) as pace:
        took = await seconds_of(pace, 1, 4, 1)
    assert took >= 5 * STEP


async def test_a_reply_that_is_given_up_leaves_the_batch() -> None:
    """The next one has its place."""
    async with pacing(Speed(step=STEP, slots=1)) as pace:
        given_up = asyncio.create_task(seconds_of(pace, 1, 0, 1_000))
        await asyncio.sleep(STEP)
        given_up.cancel()
        assert await seconds_of(pace, 1, 0, 2) < 1_000 * STEP


async def test_it_is_an_engine() -> None:
    """A reply has its number of tokens, and a mood is read in a step."""
    async with pacing(Speed(step=0.0)) as pace:
        engine = PacedEngine(pace, 3, 0)
        async with engine.stream(PROMPT, max_tokens=9) as pieces:
            written = [piece async for piece in pieces]
        assert [piece.text for piece in written] == [" word2", " word1", " word0", ""]
        assert await engine.first_token(PROMPT)
