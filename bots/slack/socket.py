"""Socket Mode: one WebSocket to Slack, replaced when it stays down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient

from bots.proxies import Proxies
from core.clock import Clock
from core.http_sessions import open_session

log = structlog.get_logger()

MAX_DOWN_SECONDS = 30.0
"""How long a socket may be down before it is replaced: the library may retry a single-use URL endlessly."""
NO_LIMIT = aiohttp.ClientTimeout(total=None)
CHECK_SECONDS = 5.0
REDELIVERY_SECONDS = 300.0
"""How long Slack goes on delivering an event: at once, after a minute and after five."""


@asynccontextmanager
async def open_socket(app: AsyncApp, app_token: str, url: str, proxies: Proxies) -> AsyncIterator[SocketModeClient]:
    """A client that connects to `url` in the background, and reconnects by itself."""
    handler = AsyncSocketModeHandler(app, app_token)
    client = handler.client
    client.wss_uri = url
    client.proxy = None  # the session has its proxy: the library's is that of HTTPS_PROXY, whatever NO_PROXY says
    await client.aiohttp_client_session.close()
    client.aiohttp_client_session = open_session(proxies.url_of(url), NO_LIMIT)
    connecting = asyncio.create_task(client.connect())  # type: ignore[no-untyped-call]
    try:
        yield client
    finally:
        connecting.cancel()
        await asyncio.wait([connecting])
        await client.close()  # type: ignore[no-untyped-call]
        working = (client.message_processor, client.current_session_monitor, client.message_receiver)
        await asyncio.gather(*filter(None, working), return_exceptions=True)


async def until_down(client: SocketModeClient, clock: Clock, up_at: float) -> float:
    """Return once the socket has been down for `MAX_DOWN_SECONDS`: the monotonic time at which it was last up.

    `up_at` is that time of the socket before this one.
    """
    begun = clock.monotonic()
    while clock.monotonic() - max(begun, up_at) < MAX_DOWN_SECONDS:
        await clock.sleep(CHECK_SECONDS)
        if await client.is_connected():
            now = clock.monotonic()
            if now - up_at > REDELIVERY_SECONDS:
                log.warning("slack was out of reach; what was written meanwhile may be lost", seconds=now - up_at)
            up_at = now
    return up_at
