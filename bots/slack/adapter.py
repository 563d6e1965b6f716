"""Slack as a front end: Socket Mode and HTTP meet in one intake, answers go out by the Web API."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient
from starlette.routing import BaseRoute

from bots.fronts import Health
from bots.slack.delivery import SlackDelivery
from bots.slack.http import slack_route
from bots.slack.intake import Intake
from bots.slack.places import PLATFORM, Bot
from bots.slack.socket import open_socket, until_deaf
from bots.slack.web import BadToken, NotTaken, Web
from config.settings import SlackSettings
from core.admission import Admission
from core.clock import Clock
from core.errors import ConfigError, DeliveryFailed, StoreError

R = TypeVar("R")
log = structlog.get_logger()

CALL_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
OK, UNAVAILABLE = 200, 503


class SlackFront:
    """One bot account. Until Slack has said who it is, nothing is acknowledged."""

    platform = PLATFORM

    def __init__(self, settings: SlackSettings, web: Web, clock: Clock, *, shared_history: bool) -> None:
        self.deliveries: dict[str, SlackDelivery] = {}
        self._app_token = settings.app_token.get_secret_value()
        self._signing_secret = settings.signing_secret.get_secret_value()
        self._web = web
        self._clock = clock
        self._shared = shared_history
        self._bot: Bot | None = None
        self._socket: SocketModeClient | None = None
        self._at_hand: set[asyncio.Task[object] | None] = set()

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        if not self._signing_secret:
            return []
        return [slack_route(partial(self._take, admission), self._signing_secret, self._clock)]

    async def who(self) -> str:
        try:
            bot = await self._web.who()
        except (BadToken, NotTaken) as error:
            raise ConfigError("slack.bot_token", f"Slack says {error.code}") from None
        except DeliveryFailed:
            raise ConfigError("slack.base_url", "cannot be reached") from None
        return f"{bot.user} in {bot.team}"

    async def run(self, admission: Admission) -> None:
        self._bot = await self._patiently(self._web.who, "slack.bot_token")
        self.deliveries[self._bot.front] = SlackDelivery(self._web, self._bot, self._clock)
        log.info("slack knows us", team=self._bot.team)
        heard_at = self._clock.monotonic()
        while True:
            if self._app_token:
                heard_at = await self._listen(admission, heard_at)
            else:
                await self._clock.sleep(LONGEST_PAUSE)
                await self._patiently(self._web.who, "slack.bot_token")  # so that health can tell

    def health(self) -> Health:
        """By socket it is connected while that is open; by HTTP once Slack has answered."""
        if self._app_token:
            session = self._socket.current_session if self._socket else None
            return Health(connected=session is not None and not session.closed, heard_at=self._web.heard_at)
        return Health(connected=self._bot is not None, heard_at=self._web.heard_at)

    async def close(self) -> None:
        for delivery in self.deliveries.values():
            await delivery.close()

    async def _listen(self, admission: Admission, heard_at: float) -> float:
        """Serve one socket for as long as it can be kept up; when it last was. The one before it was at `heard_at`."""

        async def before_authorize(body: Mapping[str, object]) -> BoltResponse:
            """All of it: what comes after this would acknowledge first, or not at all where nobody listens."""
            return BoltResponse(status=await self._take(admission, body), body="")

        app = AsyncApp(name="parley", client=self._web.client, signing_secret="", before_authorize=before_authorize)
        url = await self._patiently(partial(self._web.ticket, self._app_token), "slack.app_token")
        async with open_socket(app, self._app_token, url) as self._socket:
            try:
                heard_at = await until_deaf(self._socket, self._clock, heard_at)
            finally:
                await self._settled()  # what is at hand is still acknowledged
        log.warning("slack's socket stayed down; opening another")
        return heard_at

    async def _take(self, admission: Admission, body: Mapping[str, object]) -> int:
        """The HTTP status for a payload: anything but 200 makes Slack send it again."""
        if self._bot is None:
            return UNAVAILABLE
        self._at_hand.add(task := asyncio.current_task())
        try:
            await Intake(self._web, self._bot, self._clock, admission, shared=self._shared).take(body)
        except StoreError as error:
            log.warning("cannot accept", error=type(error).__name__, reason=str(error))
            return UNAVAILABLE
        finally:
            self._at_hand.discard(task)
        return OK

    async def _settled(self) -> None:
        if self._at_hand:
            await asyncio.wait(filter(None, set(self._at_hand)))

    async def _patiently(self, call: Callable[[], Awaitable[R]], setting: str) -> R:
        """Ask until Slack answers, less and less often. Raises ConfigError if it does not take the token."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await call()
            except (BadToken, NotTaken) as error:
                raise ConfigError(setting, f"Slack says {error.code}") from None
            except DeliveryFailed as error:
                log.warning("slack is not reachable", retry_after=max(pause, error.retry_after))
                await self._clock.sleep(max(pause, error.retry_after))
                pause = min(2 * pause, LONGEST_PAUSE)


@asynccontextmanager
async def open_slack(
    settings: SlackSettings, clock: Clock, *, shared_history: bool = False
) -> AsyncIterator[SlackFront]:
    """The bot on Slack. With `shared_history` it reads what others wrote in a thread before it was called."""
    if not settings.app_token.get_secret_value() and not settings.signing_secret.get_secret_value():
        raise ConfigError("slack.app_token", "is not set, nor is slack.signing_secret: Slack could not reach us")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)) as session:
        token = settings.bot_token.get_secret_value()
        client = AsyncWebClient(token=token, base_url=settings.base_url, session=session, retry_handlers=[])
        front = SlackFront(settings, Web(client, session, clock), clock, shared_history=shared_history)
        try:
            yield front
        finally:
            await front.close()
