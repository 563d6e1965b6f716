"""With a guard switched off, the harness detects the lost message, double answer or orphan that it prevents."""

import os
import signal
from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.harness import Verdict, open_harness
from tests.faults.scenario import event

EVENTS = tuple(event(f"e{number}", "ann", f"e{number} hello") for number in range(3))


async def crash(
    fork_server: ForkServer, folder: Path, database: str, point: str, without: str, *, lost: str = ""
) -> Verdict:
    """Crash one gateway at a point, let the next one answer, and return the verdict."""
    async with open_harness(fork_server, folder, EVENTS, database=database) as harness:
        await harness.run_until_exit(harness.plan(point=point, without=without))
        await harness.run_until_answered(harness.plan(without=without), lost=lost)
        verdict = await harness.verdict(EVENTS)
        assert verdict.good or without
        assert verdict.orphans <= harness.unsaved
        return verdict


@pytest.mark.parametrize("without", ["", "commit before ack"])
async def test_acknowledging_before_the_commit_loses_the_message(
    fork_server: ForkServer, tmp_path: Path, database: str, without: str
) -> None:
    """A message that is acknowledged before its commit is lost if the process crashes in between."""
    verdict = await crash(fork_server, tmp_path, database, "acknowledged", without, lost="e0" if without else "")
    assert verdict.lost == (["e0"] if without else [])


@pytest.mark.parametrize("without", ["", "event keys"])
async def test_missing_event_keys_cause_a_second_answer(
    fork_server: ForkServer, tmp_path: Path, database: str, without: str
) -> None:
    """A committed but unacknowledged message is delivered again, and without its event keys it is answered again."""
    verdict = await crash(fork_server, tmp_path, database, "accept committed", without)
    assert verdict.doubled == (["e0"] if without else [])


@pytest.mark.parametrize("without", ["", "edit"])
async def test_posting_answers_instead_of_editing_shows_them_twice(
    fork_server: ForkServer, tmp_path: Path, database: str, without: str
) -> None:
    """An answer that is posted instead of edited into a placeholder is posted again after a crash."""
    verdict = await crash(fork_server, tmp_path, database, "edited", without)
    assert verdict.doubled == (["e0"] if without else [])


@pytest.mark.parametrize("without", ["", "committed handle"])
async def test_uncommitted_placeholder_id_orphans_the_placeholder(
    fork_server: ForkServer, tmp_path: Path, database: str, without: str
) -> None:
    """A placeholder whose id is not committed becomes an orphan if the process crashes."""
    verdict = await crash(fork_server, tmp_path, database, "first piece", without)
    assert len(verdict.orphans) == (1 if without else 0)


@pytest.mark.parametrize("without", ["", "parts kept"])
async def test_posting_all_parts_before_a_commit_orphans_them(
    fork_server: ForkServer, tmp_path: Path, database: str, without: str
) -> None:
    """Only an answer's last placeholder can be orphaned if each id is committed before the next post."""
    events = (event("e0", "ann", "e0 tell me a long story"),)
    async with open_harness(fork_server, tmp_path, events, database=database) as harness:
        await harness.run_until_exit(harness.plan(point="placeholder shown", hits=(3,), without=without))
        await harness.run_until_answered(harness.plan())
        verdict = await harness.verdict(events)
        assert verdict.good, verdict
        assert len(verdict.orphans) == (2 if without else 1)


@pytest.mark.parametrize("without", ["", "fence"])
async def test_suspended_gateway_does_not_answer_again(
    fork_server: ForkServer, tmp_path: Path, database: str, without: str
) -> None:
    """A gateway that was suspended and replaced finds at its next write that it no longer owns its turn."""
    async with open_harness(fork_server, tmp_path, EVENTS, ahead=1, database=database) as harness:
        plan = harness.plan(point="placeholder shown", signal=signal.SIGSTOP, without=without)
        suspended = await harness.start(plan)
        assert await harness.wait(suspended) == -signal.SIGSTOP
        await harness.run_until_answered(harness.plan(without=without, disowns=False))
        os.kill(suspended, signal.SIGCONT)
        os.kill(suspended, signal.SIGTERM)
        assert await harness.wait(suspended) == 0, harness.log.read_text()
        verdict = await harness.verdict(EVENTS)
        assert verdict.doubled == (["e0"] if without else [])
        assert len(verdict.orphans) == (0 if without else 1)
        assert not verdict.lost
