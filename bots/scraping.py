"""/metrics: everything that Prometheus can know of the bot and of its model server, in one scrape."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bots.app import Bot
from bots.fronts import FrontEnd
from bots.metrics import LastDay, Scrape
from core.clock import Clock
from core.engine.deadline import in_time
from core.errors import EngineError, StoreError
from core.keys import Scope, find_key
from core.serving.callers import bearer, is_local

T = TypeVar("T")
SCRAPE_SECONDS = 2.0
"""Time limit of each part of a scrape. What takes longer is absent from it."""


def metrics_route(bot: Bot, fronts: Sequence[FrontEnd], clock: Clock) -> Route:
    """The route /metrics. It answers programs on this machine, and those with a key for metrics."""
    last_day = LastDay(bot.store, clock)

    async def metrics(request: Request) -> Response:
        try:
            may_read = is_local(request) or await _has_key(bot, clock, bearer(request))
        except (StoreError, EngineError):
            return PlainTextResponse("Service Unavailable", 503)
        if not may_read:
            return PlainTextResponse("Unauthorized", 401, headers={"WWW-Authenticate": "Bearer"})
        stored, model = await asyncio.gather(
            _unless_failing(last_day.stored(), clock), _unless_failing(bot.engine.metrics(), clock)
        )
        scrape = Scrape(
            now=clock.now(),
            monotonic=clock.monotonic(),
            counted=bot.measures.registry,
            platforms={front.platform: front.health() for front in fronts},
            stored=stored,
            model=model,
        )
        text = await asyncio.to_thread(scrape.text)  # another model server's metrics may be long
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return Route("/metrics", metrics)


async def _has_key(bot: Bot, clock: Clock, presented: str) -> bool:
    """Whether a key that opens the metrics is presented. Raises StoreError, EngineError."""
    found = await in_time(bot.store.run(find_key, presented, clock.now()), clock, SCRAPE_SECONDS) if presented else None
    return found is not None and Scope.METRICS in found.scopes


async def _unless_failing(part: Awaitable[T], clock: Clock) -> T | None:
    try:
        return await in_time(part, clock, SCRAPE_SECONDS)
    except (StoreError, EngineError):
        return None
