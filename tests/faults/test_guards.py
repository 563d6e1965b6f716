"""With a guard switched off the rig sees the loss, the double or the orphan that the guard is there for."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.nursery import Nursery
from tests.faults.rig import Verdict, open_rig
from tests.faults.scenario import event

EVENTS = tuple(event(f"e{number}", "ann", f"e{number} hello") for number in range(3))


async def crash(nursery: Nursery, folder: Path, point: str, without: str, *, lost: str = "") -> Verdict:
    """What comes of a gateway killed at a point, and of the next one."""
    async with open_rig(nursery, folder, EVENTS) as rig:
        await rig.until_end(rig.plan(point=point, without=without))
        await rig.until_settled(rig.plan(without=without), lost=lost)
        verdict = await rig.verdict(EVENTS)
        assert verdict.good or without
        assert verdict.orphans <= rig.unkept
        return verdict


@pytest.mark.parametrize("without", ["", "commit before ack"])
async def test_acknowledging_too_early_loses(nursery: Nursery, tmp_path: Path, without: str) -> None:
    """A message acknowledged before it is committed is lost if the process dies in between."""
    verdict = await crash(nursery, tmp_path, "acknowledged", without, lost="e0" if without else "")
    assert verdict.lost == (["e0"] if without else [])


@pytest.mark.parametrize("without", ["", "event keys"])
async def test_forgetting_event_keys_answers_twice(nursery: Nursery, tmp_path: Path, without: str) -> None:
    """A message that was committed but not acknowledged comes again; without its keys it is a new one."""
    verdict = await crash(nursery, tmp_path, "accept committed", without)
    assert verdict.doubled == (["e0"] if without else [])


@pytest.mark.parametrize("without", ["", "edit"])
async def test_posting_an_answer_shows_it_twice(nursery: Nursery, tmp_path: Path, without: str) -> None:
    """An answer that was posted, and not put into a placeholder, is posted again after a crash beside it."""
    verdict = await crash(nursery, tmp_path, "edited", without)
    assert verdict.doubled == (["e0"] if without else [])


@pytest.mark.parametrize("without", ["", "committed handle"])
async def test_forgetting_a_placeholder_leaves_it_behind(nursery: Nursery, tmp_path: Path, without: str) -> None:
    """A placeholder whose id is not kept is an orphan wherever the process dies."""
    verdict = await crash(nursery, tmp_path, "first piece", without)
    assert len(verdict.orphans) == (1 if without else 0)


@pytest.mark.parametrize("without", ["", "parts kept"])
async def test_posting_parts_in_one_go_leaves_them_behind(nursery: Nursery, tmp_path: Path, without: str) -> None:
    """Of an answer's placeholders no more than the last is an orphan, unless each is kept only with the next."""
    events = (event("e0", "ann", "e0 tell me a long story"),)
    async with open_rig(nursery, tmp_path, events) as rig:
        await rig.until_end(rig.plan(point="placeholder shown", passings=(3,), without=without))
        await rig.until_settled(rig.plan())
        verdict = await rig.verdict(events)
        assert verdict.good, verdict
        assert len(verdict.orphans) == (2 if without else 1)


@pytest.mark.parametrize("without", ["", "fence"])
async def test_sleeper_does_not_answer_again(nursery: Nursery, tmp_path: Path, without: str) -> None:
    """A gateway that was suspended, taken for dead and replaced wakes up to find that its turn is not its own."""
    async with open_rig(nursery, tmp_path, EVENTS, ahead=1) as rig:
        plan = rig.plan(point="placeholder shown", signal=signal.SIGSTOP, without=without)
        sleeper = await rig.start(plan)
        assert await rig.wait(sleeper) == -signal.SIGSTOP
        await rig.until_settled(rig.plan(without=without, disowns=False))
        os.kill(sleeper, signal.SIGCONT)
        os.kill(sleeper, signal.SIGTERM)
        assert await rig.wait(sleeper) == 0, rig.log.read_text()
        verdict = await rig.verdict(EVENTS)
        assert verdict.doubled == (["e0"] if without else [])
        assert len(verdict.orphans) == (0 if without else 1)
        assert not verdict.lost
