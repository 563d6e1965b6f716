"""The limits of the HTTP server, over real sockets, with time limits of a few hundredths of a second."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from core.body import read_body
from core.clock import ManualClock
from core.serving.limits import HttpLimits, client_at, within_descriptors
from core.serving.listener import Listener
from core.serving.server import http_server

PATIENT = HttpLimits(header_seconds=60, body_seconds=60, write_seconds=60)
SOON = 0.05
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"


async def respond(request: Request) -> PlainTextResponse:
    """The size of the body, and the client that it is counted for."""
    try:
        body = await read_body(request, 1 << 20)
    except ClientDisconnect:
        return PlainTextResponse("nobody reads this", 400)
    assert request.client
    return PlainTextResponse(f"{len(body or b'')} from {request.client.host}")


async def endless(_request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100_000
            await asyncio.sleep(0)

    return StreamingResponse(pieces())


APP = Starlette(routes=[Route("/", respond, methods=["GET", "POST"]), Route("/endless", endless)])


@asynccontextmanager
async def server(limits: HttpLimits = PATIENT, proxies: Collection[str] = ()) -> AsyncIterator[int]:
    """A running server's port."""
    with Listener(socket.create_server(("127.0.0.1", 0))) as listener:
        port = int(listener.getsockname()[1])
        running = http_server(APP, limits, ManualClock(), proxies=proxies, drain_seconds=1)
        task = asyncio.create_task(running._serve(sockets=[listener]))
        while not running.started:
            await asyncio.sleep(0)
        try:
            yield port
        finally:
            running.should_exit = True
            await task


class Client:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> "Client":
        self._writer.write(data)
        await self._writer.drain()
        return self

    async def answer(self) -> str:
        """The next response; empty if the connection is closed without one."""
        try:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
        except (asyncio.IncompleteReadError, ConnectionError):
            return ""
        size = next((int(line.split(": ")[1]) for line in head.lower().splitlines() if "content-length" in line), 0)
        return head.splitlines()[0][9:] + " | " + (await self._reader.readexactly(size)).decode()

    async def is_closed(self) -> bool:
        try:
            return not await self._reader.read(1)
        except ConnectionError:
            return True

    async def until_closed(self) -> None:
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                while await self._reader.read(1 << 20):
                    pass

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def clients(port: int, count: int = 1) -> AsyncIterator[list[Client]]:
    opened = [Client(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(count)]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


async def test_a_request_is_answered_and_the_connection_kept() -> None:
    """Two requests on one connection are answered; the time limits of the first do not end the second."""
    async with server() as port, clients(port) as [client]:
        assert await (await client.send(GET)).answer() == "200 OK | 0 from 127.0.0.1"
        assert await (await client.send(POST + b"x" * 1000)).answer() == "200 OK | 1000 from 127.0.0.1"


async def test_a_slow_header_is_cut_off() -> None:
    """A header that is sent byte by byte gets 408 once its time is over, however alive the connection is."""
    async with server(replace(PATIENT, header_seconds=SOON)) as port, clients(port) as [client]:
        answer = asyncio.create_task(client.answer())
        while not answer.done():
            await client.send(b"G" if not answer.done() else b"")
            await asyncio.sleep(0.01)
        assert answer.result() == "408 Request Timeout | "


async def test_a_silent_connection_is_closed() -> None:
    """A connection that sends nothing is closed without an answer."""
    async with server(replace(PATIENT, header_seconds=SOON)) as port, clients(port) as [client]:
        assert await client.answer() == ""


async def test_a_slow_body_is_cut_off() -> None:
    """A body that does not arrive whole in its time gets 408."""
    async with server(replace(PATIENT, body_seconds=SOON)) as port, clients(port) as [client]:
        assert await (await client.send(POST + b"x" * 999)).answer() == "408 Request Timeout | "
        assert await client.is_closed()


async def test_a_client_that_does_not_read_is_cut_off() -> None:
    """A response that is not read is given up after its time."""
    async with server(replace(PATIENT, write_seconds=SOON)) as port, clients(port) as [client]:
        await client.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(4 * SOON)
        await client.until_closed()


async def test_the_longest_waiting_connection_makes_room() -> None:
    """At the limit a new connection is answered, and the one that waited longest is closed. The log says it once."""
    async with server(replace(PATIENT, connections=3)) as port:
        with capture_logs() as logs:
            async with clients(port, 3) as waiting, clients(port, 2) as fresh:
                assert [(await (await client.send(GET)).answer())[:3] for client in fresh] == ["200", "200"]
                assert [await client.is_closed() for client in waiting[:2]] == [True, True]
                assert (await (await waiting[2].send(GET)).answer())[:3] == "200"
    assert [entry["event"] for entry in logs].count("too many connections") == 1


async def test_one_address_has_a_limit_of_its_own() -> None:
    """Further connections of one address close its own, so that the others keep theirs."""
    async with server(replace(PATIENT, connections=9, connections_per_address=1)) as port, clients(port, 2) as both:
        assert await both[0].is_closed()
        assert (await (await both[1].send(GET)).answer())[:3] == "200"


async def test_a_proxys_connections_are_its_clients() -> None:
    """A proxy may have more connections than one address."""
    limits = replace(PATIENT, connections_per_address=1)
    async with server(limits, proxies=["127.0.0.0/8"]) as port, clients(port, 2) as both:
        assert [(await (await client.send(GET)).answer())[:3] for client in both] == ["200", "200"]


async def test_a_request_being_answered_keeps_its_connection() -> None:
    """If each connection is being answered, a new one gets 503."""
    async with server(replace(PATIENT, connections=1)) as port, clients(port) as [busy]:
        await busy.send(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await busy._reader.readuntil(b"\r\n\r\n")
        async with clients(port) as [late]:
            assert await late.answer() == "503 Service Unavailable | "


@pytest.mark.parametrize("limit", ["held_bytes", "held_bytes_per_address"])
async def test_the_memory_for_bodies_is_limited(limit: str) -> None:
    """Bytes of unfinished bodies count together; once they are given up, the next body is taken."""
    async with server(replace(PATIENT, **{limit: 1500})) as port, clients(port, 2) as [slow, fast]:
        for _ in range(2):
            assert (await (await fast.send(POST + b"x" * 1000)).answer())[:3] == "200"
        await slow.send(POST + b"x" * 999)
        async with asyncio.timeout(5):
            while (await (await fast.send(POST + b"x" * 1000)).answer())[:3] != "503":  # until the slow one is read
                pass


async def test_bodies_count_for_the_client_that_a_proxy_names() -> None:
    """X-Forwarded-For is believed from a configured proxy alone."""
    request = GET.replace(b"\r\n\r\n", b"\r\nX-Forwarded-For: 192.0.2.7, 198.51.100.9\r\n\r\n")
    async with server() as port, clients(port) as [client]:
        assert "127.0.0.1" in await (await client.send(request)).answer()
    async with server(proxies=["127.0.0.1"]) as port, clients(port) as [client]:
        assert "198.51.100.9" in await (await client.send(request)).answer()


@pytest.mark.parametrize("size", [17_000, 300_000])
async def test_a_long_header_is_refused(size: int) -> None:
    """A header over the limit gets a 4xx, whether or not it arrives in one piece."""
    async with server() as port, clients(port) as [client]:
        answer = await (await client.send(GET[:-2] + b"X: " + b"a" * size + b"\r\n\r\n")).answer()
        assert answer[:3] in {"431", "400", ""}  # the last if the rest is refused unread


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\xff" * 1000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_malformed_requests_get_400(request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Requests that are not HTTP get 400, and no line in the log."""
    async with server() as port, clients(port) as [client]:
        assert await (await client.send(request_)).answer() == "400 Bad Request | "
    assert caplog.text == ""


async def test_garbage_during_an_answer_ends_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Garbage in the body of a request that is being answered is no error of the server."""
    request = GET.replace(b"/ ", b"/endless ").replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    async with server() as port, clients(port) as [client]:
        await client.send(request)
        await client._reader.readuntil(b"\r\n\r\n")
        await client.send(b"zz\r\n")
        await client.until_closed()
    assert "Fatal error" not in caplog.text


async def test_without_descriptors_connections_are_turned_away(caplog: pytest.LogCaptureFixture) -> None:
    """If no descriptor is left, waiting connections are closed, nothing is logged, and later ones are answered."""
    receive = asyncio.get_running_loop().sock_recv
    with ExitStack() as stack:
        waiting = [stack.enter_context(socket.socket()) for _ in range(5)]
        async with server() as port, clients(port) as [kept]:
            assert (await (await kept.send(GET)).answer())[:3] == "200"
            with no_descriptors():
                for client in waiting:
                    client.connect(("127.0.0.1", port))
                    client.settimeout(0)
                closed = [await receive(client, 1) for client in waiting]
                assert (await (await kept.send(GET)).answer())[:3] == "200"
            async with clients(port) as [later]:
                assert (await (await later.send(GET)).answer())[:3] == "200"
    assert closed == [b""] * 5
    assert "accept" not in caplog.text


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Take every file descriptor that this process may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 300), hard))
    taken = []
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)


def test_connections_leave_descriptors_for_the_rest() -> None:
    """Connections may have half of the process's descriptors."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert within_descriptors(HttpLimits(connections=10**9)).connections == allowed // 2
    assert within_descriptors(HttpLimits(connections=3)).connections == 3


def test_a_network_is_one_client_on_ipv6() -> None:
    """Addresses of one IPv6 network of 64 bits are one client; an IPv4 address is one, in either notation."""
    assert client_at("2001:db8::1") == client_at("2001:db8::2") != client_at("2001:db8:0:1::1")
    assert client_at("192.0.2.1") == client_at("::ffff:192.0.2.1") != client_at("192.0.2.2")
