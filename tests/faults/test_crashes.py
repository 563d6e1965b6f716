"""kill -9 at every crash point of a message's way."""

from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.harness import open_harness
from tests.faults.scenario import INTAKE, POINTS, WINDOW, Scenario, scenario

BY_DEFAULT = ("accept", "set_handle", "finish", "mark_delivered")
"""Steps at which a server is left in the middle of a transaction, or just after it."""
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 5))]

ON_POSTGRESQL = [
    pytest.param(point, seed, marks=() if point.startswith(BY_DEFAULT) and seed == 0 else pytest.mark.long)
    for point in POINTS
    for seed in range(5)
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("point", POINTS)
async def test_every_message_is_answered_once(fork_server: ForkServer, tmp_path: Path, point: str, seed: int) -> None:
    """After a crash and a restart each message is answered once and each exchange is in the history once."""
    case = scenario(point, seed)
    await judge(case, point, disowns=seed != 1, fork_server=fork_server, folder=tmp_path)


@pytest.mark.parametrize(("point", "seed"), ON_POSTGRESQL)
async def test_every_message_is_answered_once_with_a_server(
    fork_server: ForkServer, tmp_path: Path, empty_postgresql: str, point: str, seed: int
) -> None:
    """The same holds with PostgreSQL, where the server rolls back what a dead process has not committed."""
    case = scenario(point, seed)
    await judge(case, point, disowns=seed != 1, fork_server=fork_server, folder=tmp_path, database=empty_postgresql)


async def judge(
    case: Scenario, point: str, *, disowns: bool, fork_server: ForkServer, folder: Path, database: str = ""
) -> None:
    async with open_harness(fork_server, folder, case.events, ahead=case.ahead, database=database) as harness:
        for number, (at, hit) in enumerate(case.crashes):
            plan = harness.plan(point=at, hits=(hit,), slots=case.slots, disowns=disowns)
            await (harness.run_until_answered(plan) if number else harness.run_until_exit(plan))
        await harness.run_until_answered(harness.plan(slots=case.slots, disowns=disowns))
        verdict = await harness.verdict(case.events)
        assert verdict.good, verdict
        assert verdict.orphans <= harness.unsaved
        assert len(verdict.orphans) <= len(case.crashes) * (case.slots + case.notices)
        if len(case.crashes) == case.slots == 1 and not case.notices:
            assert len(verdict.orphans) <= (point in WINDOW | INTAKE)
            assert not verdict.apologies
