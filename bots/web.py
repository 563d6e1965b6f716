"""The bot's HTTP server: /health, /ready, and the webhooks of the platforms."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from bots.app import Bot
from bots.fronts import FrontEnd
from config.settings import WebSettings
from core.clock import Clock
from core.engine.deadline import in_time
from core.errors import ConfigError, EngineError, StoreError
from core.store import installation

CHECK_SECONDS = 2.0
"""Time limit of each check of /ready."""


def web_app(bot: Bot, fronts: Sequence[FrontEnd], clock: Clock) -> Starlette:
    """/health (restart the process if it fails), /ready (it can answer messages), and the routes of the front ends."""

    async def health(_request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def ready(_request: Request) -> JSONResponse:
        fault, model = await asyncio.gather(_store_fault(bot, clock), _model_answers(bot, clock))
        platforms = {front.platform: _platform(front, clock) for front in fronts}
        is_ready = not fault and model and all(platform["connected"] for platform in platforms.values())
        body = {"ready": is_ready, "store": not fault, "model": model, "platforms": platforms}
        told = {"store_fault": fault} if fault else {}
        return JSONResponse(body | told, status_code=200 if is_ready else 503)

    routes: list[BaseRoute] = [Route("/health", health), Route("/ready", ready)]
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
