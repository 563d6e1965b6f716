"""The bot's HTTP server: /health, /ready, /metrics, and the routes of the front ends."""

import asyncio
import socket
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from bots.app import Bot
from bots.fronts import FrontEnd
from bots.scraping import metrics_route
from bots.web.api import PATH as API
from bots.web.page import PUBLIC
from config.settings import WebSettings
from core.clock import Clock
from core.engine.deadline import in_time
from core.errors import ConfigError, EngineError, StoreError
from core.serving.browsers import Guests, OwnSiteOnly
from core.serving.limits import HttpLimits, within_descriptors
from core.serving.listener import Listener
from core.serving.server import http_server
from core.store import installation

CHECK_SECONDS = 2.0
"""Time limit of each check of /ready."""
DRAIN_SECONDS = 5
"""Seconds that requests have at a shutdown. A platform sends those again that were not answered."""


def web_app(
    bot: Bot, fronts: Sequence[FrontEnd], clock: Clock, hosts: Collection[str] = (), cors: Collection[str] = ()
) -> Starlette:
    """/health (restart the process if it fails), /ready (it can answer messages), /metrics, and the routes of the
    front ends.

    `hosts` are names of the server, other than "localhost" and addresses. Pages of the sites `cors` may use the HTTP
    interface. A front end checks who calls its routes.
    """

    async def health(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        fault, model = await asyncio.gather(_store_fault(bot, clock), _model_answers(bot, clock))
        platforms = {front.platform: _platform(front, clock) for front in fronts}
        is_ready = not fault and model and all(platform["connected"] for platform in platforms.values())
        body = {"ready": is_ready, "store": not fault, "model": model, "platforms": platforms}
        told = {"store_fault": fault} if fault else {}
        return JSONResponse(body | told, status_code=200 if is_ready else 503)

    routes: list[BaseRoute] = [Route("/health", health), Route("/ready", ready), metrics_route(bot, fronts, clock)]
    webhooks = [route for front in fronts for route in front.routes(bot.admission)]
    signed = [route.path for route in webhooks if isinstance(route, Route) and route.methods == {"POST"}]
    guests = Guests(origins=frozenset(cors), below=f"{API}/")
    guard = Middleware(OwnSiteOnly, hosts=hosts, signed=signed, public=PUBLIC, guests=guests)
    return Starlette(routes=routes + webhooks, middleware=[guard])


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


async def _store_fault(bot: Bot, clock: Clock) -> str:
    """The kind of error that keeps messages from being stored, such as "StoreFull"; empty if there is none."""
    try:
        await in_time(bot.store.run(installation.touch, clock.now()), clock, CHECK_SECONDS)
    except (StoreError, EngineError) as error:
        return type(error).__name__ if isinstance(error, StoreError) else "StoreLocked"
    return ""


async def _model_answers(bot: Bot, clock: Clock) -> bool:
    try:
        await in_time(bot.engine.count_tokens("ready"), clock, CHECK_SECONDS)
    except EngineError:
        return False
    return True


def _platform(front: FrontEnd, clock: Clock) -> Mapping[str, bool | float | None]:
    health = front.health()
    age = None if health.heard_at is None else round(clock.monotonic() - health.heard_at, 1)
    return {"connected": health.connected, "seconds_since_heard": age}
