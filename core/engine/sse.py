"""Server-sent events, as far as a chat completion uses them."""

from collections.abc import AsyncGenerator, AsyncIterator

MAX_EVENT_BYTES = 1 << 20
"""No piece of a reply is near this. A server that sends more without a line's end has gone wrong."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event in a body that comes in chunks cut anywhere. ValueError where a line never ends.

    Lines end with LF or CR LF only: JSON may hold U+2028 and its like as they are, so `str.splitlines` would cut
    events in two.
    """
    rest, data, held = b"", list[bytes](), 0
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if field := line.removesuffix(b"\r"):
                if field.startswith(b"data:"):
                    data.append(field.removeprefix(b"data:").removeprefix(b" "))
                    held += len(field)
            elif data:
                yield b"\n".join(data)
                data, held = [], 0
        if len(rest) + held > MAX_EVENT_BYTES:
            raise ValueError("an event without end")
    if data:
        yield b"\n".join(data)
