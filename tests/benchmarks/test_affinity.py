"""What `benchmarks.affinity` measures, smaller."""

import os

import pytest

from benchmarks.affinity import measure


@pytest.mark.long
async def test_two_servers_find_what_one_finds() -> None:
    """With two `parley serve-model` processes, replies find at least 95% of the cached tokens that one has."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("there is one CPU only")
    one, two = [await measure(12, 4, "mini", servers=servers) for servers in (1, 2)]
    assert two.cached / two.prompts >= 0.95 * one.cached / one.prompts
