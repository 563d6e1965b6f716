"""Listening sockets: a Unix socket that only its owner can open, or a TCP address."""

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
    """A bound Unix socket of mode 0600, removed on exit. A stale socket, without a listener, is replaced.

    Raises ConfigError if another server listens there, the path is not a socket, or it cannot be bound.
    """
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
    """A bound TCP socket. Raises ConfigError if it cannot be bound, or without a key if `host` is not loopback."""
    if not key and not is_loopback(host):
        raise ConfigError("host", f"{host} is not a loopback address: set PARLEY_SERVER_KEY or listen on 127.0.0.1")
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
    """Whether `host` is a loopback address. Of names only "localhost" counts: others could resolve to any address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _remove_stale(path: Path) -> None:
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigError("uds", f"{path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise ConfigError("uds", f"another server listens on {path}")
    path.unlink()
