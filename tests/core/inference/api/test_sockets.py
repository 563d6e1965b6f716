"""Where the server listens, and where it refuses to."""

import socket
import stat
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.inference.api.sockets import is_loopback, tcp_socket, unix_socket


def test_only_its_owner_can_open_the_socket(tmp_path: Path) -> None:
    """The socket has mode 0600 from the moment it exists, and is gone afterwards."""
    path = tmp_path / "s"
    with unix_socket(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """A socket that a killed server left behind is no obstacle."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with unix_socket(path) as bound, socket.socket(socket.AF_UNIX) as client:
        bound.listen()
        client.connect(str(path))


def test_a_living_server_keeps_its_socket(tmp_path: Path) -> None:
    """A second server does not take the place of one that listens."""
    path = tmp_path / "s"
    with unix_socket(path) as bound:
        bound.listen()
        with pytest.raises(ConfigError, match="another server"), unix_socket(path):
            pass
        assert path.exists()


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    """A path that holds something else than a socket is left as it is."""
    path = tmp_path / "s"
    path.write_text("precious")
    with pytest.raises(ConfigError), unix_socket(path):
        pass
    assert path.read_text() == "precious"


def test_a_path_that_cannot_be_bound_is_named(tmp_path: Path) -> None:
    """A path too long for a socket, or in no folder, is a ConfigError."""
    for path in (tmp_path / ("x" * 120), tmp_path / "nowhere" / "s"):
        with pytest.raises(ConfigError, match="cannot listen"), unix_socket(path):
            pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com", ""])
def test_other_machines_need_a_key(host: str) -> None:
    """Without a key, an address that others can reach is refused; so is a name, which could be one."""
    with pytest.raises(ConfigError, match="PARLEY_SERVER_KEY"), tcp_socket(host, 0, key=""):
        pass


def test_with_a_key_any_address_will_do() -> None:
    """The key is what makes it safe."""
    with tcp_socket("0.0.0.0", 0, key="secret") as bound:
        assert bound.getsockname()[1]


def test_this_machine_needs_none() -> None:
    """A loopback address, and the name for it, need no key; a port in use is a ConfigError."""
    assert all(map(is_loopback, ("127.0.0.1", "127.8.8.8", "::1", "localhost")))
    with tcp_socket("127.0.0.1", 0, key="") as bound:
        bound.listen()
        with pytest.raises(ConfigError, match="cannot listen"), tcp_socket("127.0.0.1", bound.getsockname()[1], key=""):
            pass
