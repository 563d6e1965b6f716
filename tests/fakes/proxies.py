"""Proxies on loopback: one of HTTP and one of SOCKS5. Every name leads to this machine, and is written down."""

import asyncio
import base64
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
NO_AUTH, BY_PASSWORD, NONE_FITS = 0, 2, 0xFF
BROKEN = (OSError, asyncio.IncompleteReadError, ValueError)


@dataclass(slots=True, kw_only=True)
class FakeProxy:
    """`login` is "user:password", or empty. `asked` are the addresses that it was asked for, as "host:port"."""

    login: str
    port: int = 0
    asked: list[str] = field(default_factory=list)

    def connected(self, host: str, port: int) -> Awaitable[tuple[Reader, Writer]]:
        self.asked.append(f"{host}:{port}")
        return asyncio.open_connection("127.0.0.1", port)


@asynccontextmanager
async def http_proxy(login: str = "") -> AsyncIterator[FakeProxy]:
    """A proxy that tunnels after CONNECT, and forwards one request of a connection otherwise (RFC 9110)."""
    proxy = FakeProxy(login=login)
    async with _serving(proxy, _http):
        yield proxy


@asynccontextmanager
async def socks_proxy(login: str = "") -> AsyncIterator[FakeProxy]:
    """A SOCKS5 proxy (RFC 1928) that asks for a password (RFC 1929) if it has a login."""
    proxy = FakeProxy(login=login)
    async with _serving(proxy, _socks):
        yield proxy


@asynccontextmanager
async def _serving(
    proxy: FakeProxy, serve: Callable[[FakeProxy, Reader, Writer], Awaitable[None]]
) -> AsyncIterator[None]:
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(*BROKEN, asyncio.CancelledError):
            await serve(proxy, reader, writer)
        writer.close()
        with suppress(*BROKEN, asyncio.CancelledError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _http(proxy: FakeProxy, reader: Reader, writer: Writer) -> None:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
    method, target, version = first.split()
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    expected = f"Basic {base64.b64encode(proxy.login.encode()).decode()}"
    if proxy.login and headers.get("proxy-authorization") != expected:
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        return
    address = urlsplit(f"//{target}" if method == "CONNECT" else target)
    there, onward = await proxy.connected(address.hostname or "", address.port or 80)
    if method == "CONNECT":
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    else:
        path = address.path + (f"?{address.query}" if address.query else "")
        kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:"))]
        connection = "Upgrade" if "upgrade" in headers else "close"
        head = [f"{method} {path} {version}", *kept, f"Connection: {connection}"]
        onward.write(("\r\n".join(head) + "\r\n\r\n").encode())
    await _tunnel(reader, writer, there, onward)


async def _socks(proxy: FakeProxy, reader: Reader, writer: Writer) -> None:
    _, count = await reader.readexactly(2)
    offered = await reader.readexactly(count)
    method = BY_PASSWORD if proxy.login else NO_AUTH
    writer.write(bytes([5, method if method in offered else NONE_FITS]))
    if method not in offered:
        return
    if proxy.login:
        _, length = await reader.readexactly(2)
        user = await reader.readexactly(length)
        password = await reader.readexactly((await reader.readexactly(1))[0])
        is_right = f"{user.decode()}:{password.decode()}" == proxy.login
        writer.write(bytes([1, not is_right]))
        if not is_right:
            return
    _, _, _, kind = await reader.readexactly(4)
    assert kind == 3, "a name is resolved by the proxy"
    host = await reader.readexactly((await reader.readexactly(1))[0])
    (port,) = struct.unpack("!H", await reader.readexactly(2))
    there, onward = await proxy.connected(host.decode(), port)
    writer.write(bytes([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    await _tunnel(reader, writer, there, onward)


async def _tunnel(reader: Reader, writer: Writer, there: Reader, onward: Writer) -> None:
    ways = [asyncio.create_task(_pump(reader, onward)), asyncio.create_task(_pump(there, writer))]
    try:
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        onward.close()


async def _pump(source: Reader, target: Writer) -> None:
    with suppress(*BROKEN):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
