"""What the tests of every front end share: one nursery for their gateways."""

from collections.abc import Iterator

import pytest

from tests.faults.nursery import Nursery, open_nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with open_nursery("tests.bots.lives") as opened:
        yield opened
