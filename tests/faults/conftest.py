"""One fork server starts the gateways of all tests, and another one the processes whose system calls are seen."""

import sys
from collections.abc import Iterator

import pytest

from tests.faults.fork_server import ForkServer, open_fork_server
from tests.faults.system_calls import environment


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with open_fork_server("tests.faults.gateway") as opened:
        yield opened


@pytest.fixture(scope="session")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """A fork server of `tests.faults.store_lives`."""
    if sys.platform != "linux":
        pytest.skip("system calls are seen by LD_PRELOAD")
    with open_fork_server("tests.faults.store_lives", environment(tmp_path_factory.mktemp("library"))) as opened:
        yield opened
