"""Socket Mode: one connection at a time, and a new one where it has gone deaf."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from core.clock import Clock

log = structlog.get_logger()

DEAF_SECONDS = 30.0
"""How long a socket may be down before it is given up. The library may try a used ticket for ever."""
LOOK_SECONDS = 5.0
DELIVERED_FOR = 300.0
"""How long Slack goes on delivering an event: at once, after a minute and after five."""


@asynccontextmanager
async def open_socket(app: AsyncApp, app_token: str, url: str) -> AsyncIterator[SocketModeClient]:
    """A client that connects to `url` in the background, and by itself again as long as it can."""
    handler = AsyncSocketModeHandler(app, app_token)
    client = handler.client
    client.wss_uri = url
    connecting = asyncio.create_task(client.connect())  # type: ignore[no-untyped-call]
    try:
        yield client
    finally:
        connecting.cancel()
        await asyncio.wait([connecting])
        await client.close()  # type: ignore[no-untyped-call]
        working = (client.message_processor, client.current_session_monitor, client.message_receiver)
        await asyncio.gather(*filter(None, working), return_exceptions=True)


async def until_deaf(client: SocketModeClient, clock: Clock, heard_at: float) -> float:
    """Until the socket has been down for too long; when one was last up, which before this one was at `heard_at`."""
    begun = clock.monotonic()
    while clock.monotonic() - max(begun, heard_at) < DEAF_SECONDS:
        await clock.sleep(LOOK_SECONDS)
        if await client.is_connected():
            now = clock.monotonic()
            if now - heard_at > DELIVERED_FOR:
                log.warning("slack was out of reach; what was written meanwhile may be lost", seconds=now - heard_at)
            heard_at = now
    return heard_at
