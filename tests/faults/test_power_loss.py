"""The power fails at any moment, and what was not synced is lost or kept in any combination."""

from collections import Counter
from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.power_loss import SYNCHRONOUS
from tests.faults.store_lives import found

SAMPLE, MANY = 30, 10_000


async def faults(observed: ForkServer, folder: Path, images: int, without: str = "") -> Counter[str]:
    counts: Counter[str] = Counter()
    for (share,) in await found(observed, folder, what="power", count=images, without=without):
        counts.update(share)
    return counts


@pytest.mark.parametrize("images", [SAMPLE, pytest.param(MANY, marks=pytest.mark.long)])
async def test_a_power_loss_loses_nothing_confirmed(observed: ForkServer, tmp_path: Path, images: int) -> None:
    """The store has all that it confirmed and nothing by halves. So have the backup and what a restore replaced."""
    assert await faults(observed, tmp_path, images) == {"images": images}


async def test_without_a_sync_at_each_commit_something_is_lost(observed: ForkServer, tmp_path: Path) -> None:
    """With `synchronous=NORMAL` the same images lack confirmed commits."""
    assert (await faults(observed, tmp_path, SAMPLE, without=SYNCHRONOUS))["lost"] > 0
