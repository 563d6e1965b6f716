from benchmarks.engines import Engine
from benchmarks.figures import Unavailable
from benchmarks.rounds import rotated, take_turns


def test_every_engine_is_first_once() -> None:
    """In as many rounds as there are engines each is first once; their cyclic order stays."""
    assert [rotated("abc", number) for number in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]


def test_an_engine_that_fails_is_left_out() -> None:
    """An engine that fails in a later round loses its earlier values, and is not tried again."""
    tried: list[tuple[Engine, int]] = []

    def measure(engine: Engine, number: int) -> int:
        tried.append((engine, number))
        if engine is Engine.Q4_0 and number == 1:
            raise Unavailable("gone")
        return number

    found = take_turns([Engine.INT4, Engine.Q4_0], 3, measure)
    assert found[Engine.INT4].values == [0, 1, 2]
    assert (found[Engine.Q4_0].values, found[Engine.Q4_0].unavailable) == ([], "gone")
    assert (Engine.Q4_0, 2) not in tried
