"""kill -9 at every crash point of a message's way."""

from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.harness import open_harness
from tests.faults.scenario import INTAKE, POINTS, WINDOW, scenario

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 5))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("point", POINTS)
async def test_every_message_is_answered_once(fork_server: ForkServer, tmp_path: Path, point: str, seed: int) -> None:
    """After a crash and a restart each message is answered once and each exchange is in the history once."""
    case = scenario(point, seed)
    async with open_harness(fork_server, tmp_path, case.events, ahead=case.ahead) as harness:
        for number, (at, hit) in enumerate(case.crashes):
            plan = harness.plan(point=at, hits=(hit,), slots=case.slots, disowns=seed != 1)
            await (harness.run_until_answered(plan) if number else harness.run_until_exit(plan))
        await harness.run_until_answered(harness.plan(slots=case.slots, disowns=seed != 1))
        verdict = await harness.verdict(case.events)
        assert verdict.good, verdict
        assert verdict.orphans <= harness.unsaved
        assert len(verdict.orphans) <= len(case.crashes) * (case.slots + case.notices)
        if len(case.crashes) == case.slots == 1 and not case.notices:
            assert len(verdict.orphans) <= (point in WINDOW | INTAKE)
            assert not verdict.apologies
