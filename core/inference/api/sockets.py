"""Where the server listens: a Unix socket only its owner can open, or an address."""

import ipaddress
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import ConfigError

OWNER_ONLY = 0o177


@contextmanager
def unix_socket(path: Path) -> Iterator[socket.socket]:
    """A bound Unix socket of mode 0600. One that nobody listens on any more is replaced; the path is removed after."""
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(OWNER_ONLY)
    try:
        bound.bind(str(path))
    except OSError as error:
        bound.close()
        raise ConfigError("uds", f"cannot listen on {path} ({error})") from error
    finally:
        os.umask(before)
    try:
        yield bound
    finally:
        bound.close()
        path.unlink(missing_ok=True)


@contextmanager
def tcp_socket(host: str, port: int, key: str) -> Iterator[socket.socket]:
    """A bound TCP socket. Without a key, only a loopback address is accepted."""
    if not key and not is_loopback(host):
        raise ConfigError("host", f"{host} can be reached from elsewhere: set PARLEY_SERVER_KEY or use 127.0.0.1")
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigError("host", f"cannot listen on {host}:{port} ({error})") from error
    with bound:
        yield bound


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own. A name other than "localhost" could resolve to anything."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigError("uds", f"{path} is there already and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise ConfigError("uds", f"another server listens on {path}")
    path.unlink()
