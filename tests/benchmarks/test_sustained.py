import pytest

from benchmarks.sustained import Load, measure

LOAD = Load(rates={"telegram": 2.0, "slack": 4.0}, seconds=12.0, reply=0.2)


@pytest.mark.long
async def test_a_steady_load_is_answered() -> None:
    """Each message of a steady load is acknowledged and answered on both platforms; each process has its figures."""
    figures = await measure(LOAD)
    assert figures.sent == {"telegram": 24, "slack": 48}
    assert {name: seen.answers for name, seen in figures.seen.items()} == figures.sent
    assert {name: len(seen.acknowledged) for name, seen in figures.seen.items()} == figures.sent
    assert all(seconds > 0 for seconds in figures.used.values())
    assert figures.report().count("\n") == 6
