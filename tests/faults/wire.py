"""The way to a PostgreSQL server, which a test cuts: everywhere, or at one commit, before it or its answer arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import sqlalchemy as sa

COMMIT = b"COMMIT\0"
"""The end of the message by which the driver commits."""
Lost: TypeAlias = Literal["", "request", "answer"]
"""What of a commit gets lost."""


@dataclass(slots=True, kw_only=True)
class Wire:
    """Connections to the server of a URL. The commits with the numbers `at`, from 1 on, lose their request or answer.

    Unless it is `open`, nothing passes. If it `refuses`, new connections end at once.
    """

    url: sa.URL
    lost: Lost = ""
    at: frozenset[int] = frozenset()
    port: int = 0
    commits: int = 0
    cuts: int = 0
    refuses: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def database(self) -> str:
        """The URL by which a gateway goes this way."""
        return self.url.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def cut(self) -> None:
        """End all connections."""
        self.cuts += 1
        for writer in self.writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            writer.close()
            return
        there, onward = await asyncio.open_connection(self.url.host or "127.0.0.1", self.url.port or 5432)
        muted = asyncio.Event()
        ways = [
            asyncio.create_task(self._ask(reader, onward, muted)),
            asyncio.create_task(self._tell(there, writer, muted)),
        ]
        self.writers |= {writer, onward}
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.wait(ways)
        for side in (writer, onward):
            self.writers.discard(side)
            side.close()

    async def _ask(self, reader: asyncio.StreamReader, onward: asyncio.StreamWriter, muted: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self.open.wait()
                if self._is_lost(data):
                    if self.lost == "request":
                        return
                    muted.set()
                onward.write(data)

    async def _tell(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, muted: asyncio.Event) -> None:
        with suppress(OSError):
            while data := await there.read(65_536):
                await self.open.wait()
                if muted.is_set():
                    return
                writer.write(data)

    def _is_lost(self, data: bytes) -> bool:
        if not data.endswith(COMMIT):
            return False
        self.commits += 1
        is_lost = self.commits in self.at
        self.cuts += is_lost
        return is_lost


@asynccontextmanager
async def open_wire(url: str, *, lost: Lost = "", at: frozenset[int] = frozenset()) -> AsyncIterator[Wire]:
    wire = Wire(url=sa.make_url(url), lost=lost, at=at)
    wire.open.set()
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        wire.cut()
        while wire.writers:
            await asyncio.sleep(0)
