"""Listening sockets, and those that are refused."""

import socket
import stat
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.inference.api.sockets import is_loopback, tcp_socket, unix_socket


def test_only_its_owner_can_open_the_socket(tmp_path: Path) -> None:
    """The socket has mode 0600 from its creation, and is removed on exit."""
    path = tmp_path / "s"
    with unix_socket(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """The socket of a killed server is replaced."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with unix_socket(path) as bound, socket.socket(socket.AF_UNIX) as client:
        bound.listen()
        client.connect(str(path))


def test_a_living_server_keeps_its_socket(tmp_path: Path) -> None:
    """A second server on the path of a listening one raises ConfigError."""
    path = tmp_path / "s"
    with unix_socket(path) as bound:
        bound.listen()
        with pytest.raises(ConfigError, match="another server"), unix_socket(path):
            pass
        assert path.exists()


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    """A path that is not a socket raises ConfigError, and the file is kept."""
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ConfigError), unix_socket(path):
        pass
    assert path.read_text() == "precious"


def test_a_path_that_cannot_be_bound_is_refused(tmp_path: Path) -> None:
    """A path that is too long, or in a missing folder, raises ConfigError."""
    for path in (tmp_path / ("x" * 120), tmp_path / "nowhere" / "s"):
        with pytest.raises(ConfigError, match="cannot listen"), unix_socket(path):
            pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com", ""])
def test_other_machines_need_a_key(host: str) -> None:
    """Without a key, an address that is not loopback is refused, and so is a name, which could resolve to one."""
    with pytest.raises(ConfigError, match="PARLEY_SERVER_KEY"), tcp_socket(host, 0, key=""):
        pass


def test_with_a_key_any_address_is_accepted() -> None:
    """With a key, an address that other machines can reach is accepted."""
    with tcp_socket("0.0.0.0", 0, key="secret") as bound:
        assert bound.getsockname()[1]


def test_loopback_needs_no_key() -> None:
    """Loopback addresses and "localhost" need no key; a port in use raises ConfigError."""
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    with tcp_socket("127.0.0.1", 0, key="") as bound:
        bound.listen()
        with pytest.raises(ConfigError, match="cannot listen"), tcp_socket("127.0.0.1", bound.getsockname()[1], key=""):
            pass
