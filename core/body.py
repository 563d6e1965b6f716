"""Read the body of an HTTP request, up to a size limit."""

from contextlib import aclosing

from starlette.requests import Request


async def read_body(request: Request, max_bytes: int) -> bytes | None:
    """The whole body; None as soon as its Content-Length or what has arrived exceeds `max_bytes`.

    Raises ClientDisconnect if the client leaves before the body is complete.
    """
    if _declared_bytes(request) > max_bytes:
        return None
    body = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > max_bytes:
                return None
    return bytes(body)


def _declared_bytes(request: Request) -> int:
    """The Content-Length; 0 if it is missing or malformed, since the body is counted anyway."""
    try:
        return int(request.headers.get("content-length", "0"))
    except ValueError:
        return 0
