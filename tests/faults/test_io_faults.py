"""A call of the store to the disk fails: once, for a while or until a restart, by an I/O error or for want of room."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.fork_server import ForkServer
from tests.faults.store_lives import found

SAMPLE, ALL = 20, 0


@pytest.mark.parametrize("count", [SAMPLE, pytest.param(ALL, marks=pytest.mark.long)])
async def test_the_store_outlives_a_failing_call(
    observed: ForkServer, tmp_path: Path, count: int, record_property: Callable[[str, object], None]
) -> None:
    """What fails raises a StoreError; when it has passed, all goes on, and each accepted message is answered once."""
    shares = await found(observed, tmp_path, what="io", count=count)
    findings = [finding for share in shares for finding in share]
    assert [finding for finding in findings if finding["problem"]] == []
    assert any(finding["errors"] for finding in findings)
    record_property("failing calls", len(findings))
