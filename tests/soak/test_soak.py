"""The whole bot for hours, with many people, outages and deaths: `make test-long ARGS=tests/soak SOAK_SECONDS=7200`."""

import os
import sys
from pathlib import Path

import pytest

from tests.bots.gateway import Note
from tests.soak.measures import MIB, Growth
from tests.soak.soak import CALM, WARM_UP, soak

SECONDS, SEED = float(os.environ.get("SOAK_SECONDS", "7200")), int(os.environ.get("SOAK_SEED", "1"))
MEASURABLE = 600.0
"""Seconds of the calm from which its slopes say something."""
MOST_MEMORY = {"gateway": 150 * MIB, "model": 250 * MIB}
MOST_WAL, MOST_PER_TURN = 16 * MIB, 8_192


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 1_800)
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process takes")
@pytest.mark.parametrize("seconds", [60.0, SECONDS], ids=["a minute", "hours"])
async def test_each_message_has_one_outcome_and_nothing_grows(
    tmp_path: Path, record_property: Note, seconds: float
) -> None:
    """Nothing is lost, doubled or told in the log, and neither the processes nor the store's log grow."""
    outcome = await soak(tmp_path, seconds, SEED)
    bot, verdict = outcome.bot, outcome.verdict
    growth = {role: Growth.of(samples) for role, samples in outcome.steady.items()}
    store = (tmp_path / "data" / "parley.db").stat().st_size
    record_property("said", len(outcome.crowd.said))
    record_property("deeds", outcome.crowd.done)
    record_property("lives", {role: len(lives) for role, lives in bot.lives.items()})
    record_property("orphans", f"{len(verdict.orphans)} of {bot.kills} kills and {outcome.trouble.doubts} doubts")
    record_property("sizes", {**bot.most_memory, "wal": bot.most_wal, "store": store, "turns": len(outcome.turns)})
    for role, samples in outcome.steady.items():
        record_property(f"growth of {role}", f"{growth[role]} from {samples[0]} to {samples[-1]}")
    assert (verdict.lost, verdict.doubled, verdict.misplaced) == ([], [], [])
    assert (verdict.faults, verdict.words) == ([], [])
    assert len(verdict.orphans) <= bot.kills + outcome.trouble.doubts
    assert set(bot.codes) == {0}
    assert all(bot.most_memory[role] <= most for role, most in MOST_MEMORY.items())
    assert bot.most_wal <= MOST_WAL
    assert store <= MIB + MOST_PER_TURN * len(outcome.turns)
    if seconds * CALM * (1 - WARM_UP) >= MEASURABLE:
        assert all(one.is_flat for one in growth.values()), growth
