"""The bot's HTTP server: /health, /ready, /metrics, and the routes of the front ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from bots.app import Bot
from bots.fronts import FrontEnd
from bots.readiness import readiness
from bots.scraping import metrics_route
from bots.web.page import PUBLIC
from config.settings import WebSettings
from core.clock import Clock
from core.errors import ConfigError
from core.serving.browsers import OwnSiteOnly
from core.serving.limits import HttpLimits, within_descriptors
from core.serving.listener import Listener
from core.serving.server import http_server

DRAIN_SECONDS = 5
"""Seconds that requests have at a shutdown. A platform sends those again that were not answered."""


def web_app(
    bot: Bot,
    fronts: Sequence[FrontEnd],
    clock: Clock,
    hosts: Collection[str] = (),
    more: Sequence[BaseRoute] = (),
) -> Starlette:
    """/health (restart the process if it fails), /ready (it can answer messages), /metrics, the routes of the front
    ends, and `more`.

    `hosts` are names of the server, other than "localhost" and addresses. A front end checks who calls its routes.
    """

    async def health(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        found = await readiness(bot, fronts, clock)
        platforms = {name: asdict(connection) for name, connection in found.platforms.items()}
        body = {"ready": found.is_ready, "store": not found.store_fault, "model": found.model, "platforms": platforms}
        told = {"store_fault": found.store_fault} if found.store_fault else {}
        return JSONResponse(body | told, status_code=200 if found.is_ready else 503)

    routes: list[BaseRoute] = [Route("/health", health), Route("/ready", ready), metrics_route(bot, fronts, clock)]
    webhooks = [route for front in fronts for route in front.routes(bot.admission)]
    signed = [route.path for route in webhooks if isinstance(route, Route) and route.methods == {"POST"}]
    guard = Middleware(OwnSiteOnly, hosts=hosts, signed=signed, public=PUBLIC)
    return Starlette(routes=[*routes, *webhooks, *more], middleware=[guard])


@asynccontextmanager
async def serving(
    app: Starlette, settings: WebSettings, clock: Clock, limits: HttpLimits | None = None
) -> AsyncIterator[None]:
    """Serve until the context is left, without handling signals. Raises ConfigError if the port is taken."""
    limits = limits or within_descriptors(HttpLimits())
    server = http_server(app, limits, clock, proxies=settings.proxies, drain_seconds=DRAIN_SECONDS)
    with Listener(_listening(settings.host, settings.port)) as listener:
        task = asyncio.create_task(server._serve(sockets=[listener]))  # noqa: SLF001  `serve` would take the signals
        try:
            yield
        finally:
            server.should_exit = True
            await task


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigError("web.port", f"cannot listen on {host}:{port}: {error.strerror}") from None
