"""Ends of other kinds: a message that kills whoever reads it, and a request to leave."""

import signal
from pathlib import Path

import pytest

from tests.faults.nursery import Nursery
from tests.faults.rig import open_rig
from tests.faults.scenario import event

POISON = event("bad", "eve", "bad poison")


@pytest.mark.parametrize("slots", [1, 4])
async def test_poison_is_given_up_and_harms_nobody_else(nursery: Nursery, tmp_path: Path, slots: int) -> None:
    """A message that kills two gateways gets an apology from the third; those beside it get their answers."""
    others = tuple(event(f"e{number}", f"p{number}", f"e{number} hello") for number in range(6))
    events = (*others[:2], POISON, *others[2:])
    async with open_rig(nursery, tmp_path, events) as rig:
        for _ in range(2):
            await rig.until_end(rig.plan(point="poison", slots=slots))
        await rig.until_settled(rig.plan(point="poison", slots=slots))
        verdict = await rig.verdict(events)
        assert verdict.good, verdict
        assert verdict.apologies == ["bad"]


@pytest.mark.parametrize("point", ["acknowledged", "placeholder shown", "first piece", "finish committed"])
async def test_request_to_leave_lets_the_turn_end(nursery: Nursery, tmp_path: Path, point: str) -> None:
    """SIGTERM in the middle of a turn: it is answered, the process ends well, and the rest waits for the next one."""
    events = tuple(event(f"e{number}", "ann", f"e{number} hello") for number in range(4))
    async with open_rig(nursery, tmp_path, events) as rig:
        await rig.until_end(rig.plan(point=point, signal=signal.SIGTERM), code=0)
        begun = rig.platform.journal
        assert not begun.orphans()
        assert len(begun.messages) < len(events)
        await rig.until_settled(rig.plan())
        verdict = await rig.verdict(events)
        assert verdict.good, verdict
        assert not verdict.orphans
        assert not verdict.apologies
