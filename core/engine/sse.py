"""Server-sent events: the part of the format that chat completions use."""

from collections.abc import AsyncGenerator, AsyncIterator

MAX_EVENT_BYTES = 1 << 20
"""Size limit of one event; a piece of a reply is far smaller."""


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event, from chunks that may be cut anywhere. Raises ValueError if an event is too large.

    Lines end with LF or CR LF only. `str.splitlines` would also split at U+2028 and similar characters, which JSON may
    contain unescaped.
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
            raise ValueError("the event is too large")
    if data:
        yield b"\n".join(data)
