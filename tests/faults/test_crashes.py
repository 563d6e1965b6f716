"""kill -9 at every point of a message's way."""

from pathlib import Path

import pytest

from tests.faults.nursery import Nursery
from tests.faults.rig import open_rig
from tests.faults.scenario import INTAKE, POINTS, WINDOW, scenario

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 5))]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("point", POINTS)
async def test_every_message_is_answered_once(nursery: Nursery, tmp_path: Path, point: str, seed: int) -> None:
    """Killed there and started again, the bot answers each message once, and remembers each exchange once."""
    case = scenario(point, seed)
    async with open_rig(nursery, tmp_path, case.events, ahead=case.ahead) as rig:
        for number, (at, passing) in enumerate(case.deaths):
            plan = rig.plan(point=at, passings=(passing,), slots=case.slots, disowns=seed != 1)
            await (rig.until_settled(plan) if number else rig.until_end(plan))
        await rig.until_settled(rig.plan(slots=case.slots, disowns=seed != 1))
        verdict = await rig.verdict(case.events)
        assert verdict.good, verdict
        assert verdict.orphans <= rig.unkept
        assert len(verdict.orphans) <= len(case.deaths) * (case.slots + case.notices)
        if len(case.deaths) == case.slots == 1 and not case.notices:
            assert len(verdict.orphans) <= (point in WINDOW | INTAKE)
            assert not verdict.apologies
