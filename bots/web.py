"""The bot's HTTP server: /health, /ready, and the webhooks of the platforms."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import sqlalchemy as sa
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bots.app import Bot
from bots.fronts import FrontEnd
from bots.metrics import Figures
from config.settings import WebSettings
from core.clock import Clock
from core.engine.deadline import in_time
from core.errors import ConfigError, EngineError, StoreError
from core.store import dead_letters

CHECK_SECONDS = 2.0
"""Time limit of each check of /ready."""


def web_app(bot: Bot, fronts: Sequence[FrontEnd], clock: Clock) -> Starlette:
    """/health (restart the process if it fails), /ready (it can answer messages), /metrics, and the routes of the
    front ends.
    """

    async def health(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        store, model = await asyncio.gather(_store_answers(bot, clock), _model_answers(bot, clock))
        platforms = {front.platform: _platform(front, clock) for front in fronts}
        is_ready = store and model and all(platform["connected"] for platform in platforms.values())
        body = {"ready": is_ready, "store": store, "model": model, "platforms": platforms}
        return JSONResponse(body, status_code=200 if is_ready else 503)

    async def metrics(_request: Request) -> Response:
        try:
            dead = await in_time(bot.store.run(dead_letters.count), clock, CHECK_SECONDS)
        except (StoreError, EngineError):
            return Response(status_code=503)
        skipped = {front.platform: front.health().skipped for front in fronts}
        return Response(Figures(dead=dead, skipped=skipped).text(), media_type=CONTENT_TYPE_LATEST)

    routes: list[BaseRoute] = [Route("/health", health), Route("/ready", ready), Route("/metrics", metrics)]
    for front in fronts:
        routes.extend(front.routes(bot.admission))
    return Starlette(routes=routes)


@asynccontextmanager
async def serving(app: Starlette, settings: WebSettings) -> AsyncIterator[None]:
    """Serve until the context is left, without handling signals. Raises ConfigError if the port is taken."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    with _listening(settings.host, settings.port) as bound:
        task = asyncio.create_task(server._serve(sockets=[bound]))  # noqa: SLF001  `serve` would take the signals
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


async def _store_answers(bot: Bot, clock: Clock) -> bool:
    try:
        await in_time(bot.store.run(_read), clock, CHECK_SECONDS)
    except (StoreError, EngineError):
        return False
    return True


def _read(connection: sa.Connection) -> None:
    connection.execute(sa.select(1))


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
