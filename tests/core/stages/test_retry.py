import asyncio
from collections.abc import Iterator

from core.clock import ManualClock
from core.errors import EngineLost, EngineUnavailable, ParleyError
from core.messages import Reply, Source, Turn
from core.stages.retry import PAUSE, retry
from tests.core.conftest import Write


class Model:
    """A model that answers turns in ten loop iterations and crashes five iterations after it reads "poison"."""

    def __init__(self) -> None:
        self.deaths = 0

    async def answer(self, turn: Turn) -> Reply:
        deaths = self.deaths
        for step in range(10):
            await asyncio.sleep(0)
            if step == 5 and turn.message.text == "poison":
                self.deaths += 1
            if self.deaths > deaths:
                raise EngineLost
        return Reply(text=turn.message.text, source=Source.MODEL)


async def unseen(_piece: str) -> None:
    pass


async def test_message_that_kills_the_model_fails_alone(clock: ManualClock, write: Write) -> None:
    """Of three replies lost in one crash, only the one that caused it fails again on the retry."""
    model, stage = Model(), retry(clock)
    asked = [
        asyncio.ensure_future(stage(Turn(id=number, message=write(text), sink=unseen), model.answer))
        for number, text in enumerate(["one", "poison", "two"])
    ]
    await clock.until_sleeping(len(asked))
    clock.advance(PAUSE)
    one, poison, two = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(one, Reply)
    assert isinstance(two, Reply)
    assert isinstance(poison, EngineLost)
    assert model.deaths == 2


async def test_unavailable_model_costs_no_attempt(clock: ManualClock, write: Write) -> None:
    """An attempt that found the model unavailable does not count as one of a turn's two attempts."""
    absent = EngineUnavailable()
    fates: Iterator[ParleyError | None] = iter([absent, absent, EngineLost(), absent, absent, None])

    async def answer(turn: Turn) -> Reply:
        if fate := next(fates):
            raise fate
        return Reply(text=turn.message.text, source=Source.MODEL)

    asked = asyncio.ensure_future(retry(clock)(Turn(id=1, message=write("hello"), sink=unseen), answer))
    for _ in range(5):
        await clock.until_sleeping()
        clock.advance(PAUSE)
        for _ in range(5):
            await asyncio.sleep(0)
    assert (await asked).text == "hello"
