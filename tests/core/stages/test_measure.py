"""The outermost stage counts each reply once."""

from prometheus_client import CollectorRegistry

from core.clock import ManualClock
from core.measures import Measures
from core.messages import Reply, Source, Turn
from core.stages.measure import measure
from tests.core.conftest import Write


def value(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(name, {"source": "model"})


async def test_the_first_piece_is_timed_apart_from_the_whole(clock: ManualClock, write: Write) -> None:
    """Pieces pass on to the person; of two pieces the first one counts."""
    measures, seen = Measures(), list[str]()

    async def show(piece: str) -> None:
        seen.append(piece)

    async def answer(turn: Turn) -> Reply:
        for piece in ("one", "two"):
            clock.advance(2)
            await turn.sink(piece)
        return Reply(text="one two", source=Source.MODEL)

    await measure(measures, clock)(Turn(id=1, message=write("hello"), sink=show), answer)
    assert seen == ["one", "two"]
    assert value(measures.registry, "parley_first_piece_seconds_sum") == 2
    assert value(measures.registry, "parley_answer_seconds_sum") == 4
