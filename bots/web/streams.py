"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.responses import StreamingResponse

from core.clock import Clock

PING_SECONDS = 15.0
"""Seconds of silence after which a comment is sent, so that no proxy takes the connection for dead."""
PING = b": ping\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One event: its name, and its data as JSON."""

    name: str
    data: BaseModel


class EventStream(StreamingResponse):
    """A response of events, until there are no more or the client hangs up."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[Sent], clock: Clock) -> None:
        super().__init__(_encoded(events, clock), headers=HEADERS)


async def _encoded(events: AsyncGenerator[Sent], clock: Clock) -> AsyncGenerator[bytes]:
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            try:
                async with clock.timeout(PING_SECONDS):
                    sent = await asyncio.shield(coming)
            except TimeoutError:
                yield PING
                continue
            if sent is None:
                return
            yield f"event: {sent.name}\ndata: {sent.data.model_dump_json()}\n\n".encode()
            coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()
        await asyncio.wait([coming])
        await events.aclose()
