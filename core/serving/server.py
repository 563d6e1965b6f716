"""The HTTP server of the gateway and of the model server: uvicorn, with limits for its clients."""

from collections.abc import Collection
from functools import partial
from ipaddress import ip_address, ip_network
from typing import cast

import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from core.clock import Clock
from core.serving.bodies import HeldBodies
from core.serving.connections import Connections
from core.serving.limits import HttpLimits, client_at
from core.serving.protocol import LimitedProtocol

BACKLOG = 128
"""Connections that the kernel lets wait."""


def http_server(
    app: ASGIApp, limits: HttpLimits, clock: Clock, *, proxies: Collection[str] = (), drain_seconds: int
) -> uvicorn.Server:
    """A server that holds its clients to the limits. Give it a `Listener`, which must be bound.

    `proxies` are addresses and networks of proxies, whose X-Forwarded-For is believed.

    Nothing is logged of a request: the access log would be the only log to grow with every one.
    """
    networks = [ip_network(proxy) for proxy in proxies]

    def client_of(address: str) -> str | None:
        is_proxy = any(ip_address(address) in network for network in networks)
        return None if is_proxy else client_at(address)

    protocol = partial(LimitedProtocol, limits=limits, connections=Connections(limits, clock), client_of=client_of)
    config = uvicorn.Config(
        _ShortHeaders(HeldBodies(app, limits), limits.header_bytes),
        http=cast("type[LimitedProtocol]", protocol),
        loop="asyncio",  # others would not ask our Listener for connections
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # a warning for each malformed request would let anybody fill the log
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        h11_max_incomplete_event_size=limits.header_bytes,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        timeout_graceful_shutdown=drain_seconds,
    )
    return uvicorn.Server(config)


class _ShortHeaders:
    """Answers 431 to a header that is too long. h11 refuses one only if it does not arrive in one piece."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = len(scope["raw_path"]) + len(scope["query_string"])
        size += sum(len(name) + len(value) for name, value in scope["headers"])
        if size > self._max_bytes:
            await PlainTextResponse("Request Header Fields Too Large", 431)(scope, receive, send)
        else:
            await self._app(scope, receive, send)
