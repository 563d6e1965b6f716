"""Three gateways, two model servers and PostgreSQL under kills: `make test-long ARGS=tests/soak/test_fleet.py`.

`FLEET_MESSAGES=5000 FLEET_KILLS=500` is the whole of it, which takes half an hour on two cores.
"""

import os
import sys
from pathlib import Path

import pytest

from tests.bots.gateway import Note
from tests.soak.fleet import live

MESSAGES, KILLS = int(os.environ.get("FLEET_MESSAGES", "500")), int(os.environ.get("FLEET_KILLS", "50"))
PACE, SEED = float(os.environ.get("FLEET_PACE", "0.3")), int(os.environ.get("FLEET_SEED", "1"))


@pytest.mark.long
@pytest.mark.timeout(MESSAGES * PACE * 2 + 1_800)
@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells what a process takes")
async def test_nothing_is_lost_or_doubled_whatever_is_killed(tmp_path: Path, record_property: Note) -> None:
    """Each message has one outcome, in the order of its conversation, though every process is killed often."""
    outcome = await live(tmp_path, messages=MESSAGES, kills=KILLS, pace=PACE, seed=SEED)
    verdict, kills = outcome.verdict, outcome.fleet.kills
    record_property("said", len(outcome.crowd.said))
    record_property("deeds", outcome.crowd.done)
    record_property("kills", kills)
    record_property("seconds", round(outcome.seconds))
    record_property("orphans", len(verdict.orphans))
    found = (verdict.lost, verdict.doubled, verdict.misplaced, verdict.words)
    assert found == ([], [], [], []), outcome.evidence()
    assert len(verdict.orphans) <= 8 * (kills["gateway"] + kills["database"])
