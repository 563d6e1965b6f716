"""Rules for every test: loopback network only, no settings from the environment, reproducible examples. Also the fake
Slack and the PostgreSQL database that all tests share.
"""

import os
import sys
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import settings

from core.store.postgresql import make_engine, prepare
from tests.fakes.slack.client import FakeSlack, fake_slack, fake_slack_process
from tests.postgresql import empty, new_schema

settings.register_profile("parley", derandomize=True, deadline=None)
settings.load_profile("parley")


class ForeignAddress(Exception):
    """A test tried to reach another machine."""


def _guard(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"} and not _is_local(arguments[1]):
        raise ForeignAddress(arguments[1])
    if event == "socket.getaddrinfo" and not _is_local((arguments[0],)):
        raise ForeignAddress(arguments[0])


def _is_local(address: object) -> bool:
    if not isinstance(address, tuple):  # a Unix socket
        return True
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    if host in {None, "", "localhost"}:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


sys.addaudithook(_guard)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove PARLEY_ variables and use a temporary home, so that no test finds real settings or data."""
    for name in list(os.environ):
        if name.startswith("PARLEY_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="session")
def slack_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with fake_slack_process(tmp_path_factory.mktemp("slack") / "journal") as port:
        yield port


@pytest.fixture(scope="session")
def postgresql() -> Iterator[sa.Engine]:
    """Connections to a PostgreSQL database with the tables of a store."""
    with new_schema() as url:
        engine = make_engine(url)
        prepare(engine)
        yield engine
        engine.dispose()


@pytest.fixture
def empty_postgresql(postgresql: sa.Engine) -> Iterator[str]:
    """The URL of that database, which this test leaves empty."""
    yield postgresql.url.render_as_string(hide_password=False)
    empty(postgresql)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind, for tests whose gateways are killed."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/parley.db"
    return str(request.getfixturevalue("empty_postgresql"))


@pytest.fixture
async def slack(slack_port: int) -> AsyncIterator[FakeSlack]:
    """A new workspace."""
    async with fake_slack(slack_port) as fresh:
        yield fresh
