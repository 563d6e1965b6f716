"""One fork server starts the gateways of all front ends' tests."""

from collections.abc import Iterator

import pytest

from tests.faults.fork_server import ForkServer, open_fork_server


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with open_fork_server("tests.bots.gateway") as opened:
        yield opened
