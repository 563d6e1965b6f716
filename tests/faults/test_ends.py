"""Other ends of a process: a poison message and SIGTERM."""

import signal
from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.harness import open_harness
from tests.faults.scenario import event

POISON = event("bad", "eve", "bad poison")


@pytest.mark.parametrize("slots", [1, 4])
async def test_poison_message_is_given_up_after_two_crashes(
    fork_server: ForkServer, tmp_path: Path, slots: int
) -> None:
    """A message that killed two gateways gets an apology from the third; all other messages are answered."""
    others = tuple(event(f"e{number}", f"p{number}", f"e{number} hello") for number in range(6))
    events = (*others[:2], POISON, *others[2:])
    async with open_harness(fork_server, tmp_path, events) as harness:
        for _ in range(2):
            await harness.run_until_exit(harness.plan(point="poison", slots=slots))
        await harness.run_until_answered(harness.plan(point="poison", slots=slots))
        verdict = await harness.verdict(events)
        assert verdict.good, verdict
        assert verdict.apologies == ["bad"]


@pytest.mark.parametrize("point", ["acknowledged", "placeholder shown", "first piece", "finish committed"])
async def test_sigterm_drains_the_running_turn(fork_server: ForkServer, tmp_path: Path, point: str) -> None:
    """After SIGTERM the running turn is answered, the process exits with 0, and the next process answers the rest."""
    events = tuple(event(f"e{number}", "ann", f"e{number} hello") for number in range(4))
    async with open_harness(fork_server, tmp_path, events) as harness:
        await harness.run_until_exit(harness.plan(point=point, signal=signal.SIGTERM), code=0)
        begun = harness.platform.journal
        assert not begun.orphans()
        assert len(begun.messages) < len(events)
        await harness.run_until_answered(harness.plan())
        verdict = await harness.verdict(events)
        assert verdict.good, verdict
        assert not verdict.orphans
        assert not verdict.apologies
