"""One fork server starts the gateways of all front ends' tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fakes.telegram.control import SPEED, Account, make_account, run_telegram
from tests.faults.fork_server import ForkServer, open_fork_server


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with open_fork_server("tests.bots.gateway") as opened:
        yield opened


@pytest.fixture(scope="session")
def telegram_address() -> Iterator[str]:
    with run_telegram(speed=SPEED) as address:
        yield address


@pytest.fixture
async def account(telegram_address: str) -> AsyncIterator[Account]:
    async with make_account(telegram_address) as made:
        yield made
