"""One nursery for all gateways, and a rig for each test."""

from collections.abc import Iterator

import pytest

from tests.faults.nursery import Nursery, open_nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with open_nursery("tests.faults.gateway") as opened:
        yield opened
