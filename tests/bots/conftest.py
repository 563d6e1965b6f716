"""What the tests of every front end share: one nursery for their gateways, one fake Slack."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.fakes.slack.client import FakeSlack, fake_slack, fake_slack_process
from tests.faults.nursery import Nursery, open_nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with open_nursery("tests.bots.lives") as opened:
        yield opened


@pytest.fixture(scope="session")
def slack_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with fake_slack_process(tmp_path_factory.mktemp("slack") / "journal") as port:
        yield port


@pytest.fixture
async def slack(slack_port: int) -> AsyncIterator[FakeSlack]:
    """A fresh workspace."""
    async with fake_slack(slack_port) as fresh:
        yield fresh
