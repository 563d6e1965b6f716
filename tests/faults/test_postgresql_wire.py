"""Connections to PostgreSQL end in the middle: above all, nobody knows then whether the last commit was done."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.harness import Harness, open_harness
from tests.faults.scenario import event
from tests.faults.wire import Lost, Wire, open_wire

EVENTS = tuple(event(f"e{number}", f"p{number}", f"e{number} hello") for number in range(4))
"""Of one person each: what is declined comes again later, and so in another order."""
COMMITS = range(3, 43)
"""A life with these events has about as many. The first two are those of the start, which ends without an answer."""
BY_DEFAULT = (5, 9, 14)
AGAIN = 0.05
"""Seconds until the platform sends again what was declined."""
UNKNOWN = [
    pytest.param(lost, number, marks=() if number in BY_DEFAULT else pytest.mark.long)
    for lost in ("request", "answer")
    for number in COMMITS
]


@asynccontextmanager
async def insisting(harness: Harness) -> AsyncIterator[None]:
    """The platform sends events again until they are acknowledged."""

    async def insist() -> None:
        while True:
            await asyncio.sleep(AGAIN)
            harness.platform.offer_again()

    task = asyncio.create_task(insist())
    try:
        yield
    finally:
        task.cancel()


async def check(harness: Harness, wire: Wire) -> None:
    """Each message is answered once, and no more placeholders are left than connections were cut."""
    verdict = await harness.verdict(EVENTS)
    assert verdict.good, verdict
    assert not verdict.apologies, [harness.platform.journal.answers(name) for name in verdict.apologies]
    assert len(verdict.orphans) <= wire.cuts


@pytest.mark.parametrize(("lost", "number"), UNKNOWN)
async def test_a_commit_without_an_answer(
    fork_server: ForkServer, tmp_path: Path, empty_postgresql: str, lost: Lost, number: int
) -> None:
    """Whether a commit was done and only its answer is lost, or not, each message is answered and remembered once."""
    async with (
        open_wire(empty_postgresql, lost=lost, at=frozenset({number})) as wire,
        open_harness(fork_server, tmp_path, EVENTS, database=empty_postgresql) as harness,
        insisting(harness),
    ):
        await harness.run_until_answered(harness.plan(database=wire.database))
        await check(harness, wire)


@pytest.mark.long
@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_many_commits_without_an_answer(
    fork_server: ForkServer, tmp_path: Path, empty_postgresql: str, lost: Lost
) -> None:
    """The same holds if every fifth commit is cut."""
    async with (
        open_wire(empty_postgresql, lost=lost, at=frozenset(range(6, 200, 5))) as wire,
        open_harness(fork_server, tmp_path, EVENTS, database=empty_postgresql) as harness,
        insisting(harness),
    ):
        await harness.run_until_answered(harness.plan(database=wire.database))
        assert wire.cuts > 3
        await check(harness, wire)


@pytest.mark.parametrize("does", ["cut", "stall"])
async def test_a_way_that_is_cut_or_stalls(
    fork_server: ForkServer, tmp_path: Path, empty_postgresql: str, does: str
) -> None:
    """While all connections end again and again, or nothing passes for a while, nothing is lost or answered twice."""
    async with (
        open_wire(empty_postgresql) as wire,
        open_harness(fork_server, tmp_path, EVENTS, ahead=2, database=empty_postgresql) as harness,
        insisting(harness),
    ):
        running = asyncio.create_task(harness.run_until_answered(harness.plan(database=wire.database)))
        for number in range(8):
            while wire.commits < 4 * (number + 1) and not running.done():
                await asyncio.sleep(0.01)
            if does == "cut":
                wire.cut()
            else:
                wire.open.clear()
                await asyncio.sleep(0.1)
                wire.open.set()
        await running
        await check(harness, wire)
