"""Crash points are found by their names."""

from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.harness import open_harness
from tests.faults.scenario import event


@pytest.mark.parametrize("point", ["renamed committed", "renamed"])
async def test_a_point_that_does_not_exist_ends_the_test_at_once(
    fork_server: ForkServer, tmp_path: Path, point: str
) -> None:
    """A gateway that is to crash at a verb or a step that was renamed does not start, and says which there are."""
    async with open_harness(fork_server, tmp_path, [event("e0", "ann", "e0 hello")]) as harness:
        with pytest.raises(AssertionError, match=r"no crash point 'renamed.*finish committed.*received"):
            await harness.run_until_exit(harness.plan(point=point))
