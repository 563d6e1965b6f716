"""Request bodies read up to a limit."""

from collections.abc import Sequence

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from core.body import read_body


def request(chunks: Sequence[bytes], *, declared: str | None = None, disconnects: bool = False) -> Request:
    """A request whose body arrives in these chunks. Reading on after the last one raises StopIteration."""
    messages: list[Message] = [
        {"type": "http.request", "body": chunk, "more_body": disconnects or number < len(chunks)}
        for number, chunk in enumerate(chunks, start=1)
    ]
    if disconnects:
        messages.append({"type": "http.disconnect"})
    arriving = iter(messages)

    async def receive() -> Message:
        return next(arriving)

    headers = [] if declared is None else [(b"content-length", declared.encode())]
    return Request({"type": "http", "method": "POST", "headers": headers}, receive)


async def test_a_body_within_the_limit_is_whole() -> None:
    """A body of exactly the limit is returned, however it is cut into chunks; so is an empty one."""
    assert await read_body(request([b"ab", b"", b"cd"], declared="4"), 4) == b"abcd"
    assert await read_body(request([b""]), 4) == b""


async def test_a_declared_length_over_the_limit_is_not_read() -> None:
    """A Content-Length over the limit is refused before anything is read."""
    assert await read_body(request([], declared="5"), 4) is None


@pytest.mark.parametrize("declared", [None, "1", "nonsense", "-1", "9" * 5000])
async def test_a_body_over_the_limit_is_refused_whatever_is_declared(declared: str | None) -> None:
    """A missing, false or malformed Content-Length does not lift the limit."""
    assert await read_body(request([b"abc", b"de", b"f"], declared=declared), 4) is None


async def test_a_client_that_leaves_raises() -> None:
    """A client that disconnects before its body is complete raises ClientDisconnect."""
    with pytest.raises(ClientDisconnect):
        await read_body(request([b"ab"], declared="4", disconnects=True), 4)
