"""Slack as a front end. Socket Mode and HTTP meet in `_take`; a payload is acknowledged once it is in the store."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial

import aiohttp
import structlog
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.web.async_client import AsyncWebClient
from starlette.routing import BaseRoute

from bots.connection import Connection
from bots.fronts import DEFAULT_WELCOME, Health, Welcome
from bots.proxies import ENVIRONMENT, SETTING, Proxies
from bots.slack.answers import Client
from bots.slack.api import NO_LONGER_OURS, SlackApi
from bots.slack.delivery import SlackDelivery
from bots.slack.http import slack_route
from bots.slack.identity import PLATFORM, Identity
from bots.slack.intake import Intake, Surroundings
from bots.slack.locales import Locales
from bots.slack.payloads import EventCallback, Payload, Revoked, Unreadable, parse
from bots.slack.socket import open_socket, until_down
from bots.slack.strangers import Strangers
from bots.slack.threads import Threads
from config.settings import SlackSettings
from core.admission import Admission
from core.backoff import Backoff
from core.clock import Clock
from core.delivery import Delivery
from core.errors import ConfigError, DeliveryFailed, DeliveryRejected, ProxyFailed, StoreError, TokenRefused
from core.http_sessions import open_session
from core.racing import until_one_ends

log = structlog.get_logger()

BACKOFF = Backoff(first=1.0, longest=60.0)
CHECK_SECONDS = 60.0
WHOLE_CALL = aiohttp.ClientTimeout(total=30.0)
OK, UNAVAILABLE = 200, 503


class Slack:
    """A `FrontEnd` for one bot account, made by `open_slack`. It acknowledges nothing until Slack has identified it."""

    platform = PLATFORM

    def __init__(
        self,
        settings: SlackSettings,
        client: AsyncWebClient,
        session: aiohttp.ClientSession,
        clock: Clock,
        *,
        shared_history: bool,
        welcome: Welcome,
        proxies: Proxies,
    ) -> None:
        self._app_token = settings.app_token.get_secret_value()
        self._signing_secret = settings.signing_secret.get_secret_value()
        self._client = client
        self._proxies = proxies
        self._clock = clock
        self._connection = Connection(PLATFORM, clock, BACKOFF)
        self._api = SlackApi(client, session, clock, self._connection)
        self._surroundings = Surroundings(
            threads=Threads(settings.threads),
            directs=settings.direct_messages,
            locales=Locales(self._api, clock),
            strangers=Strangers(clock),
            shared_history=shared_history,
            questions=welcome.questions,
        )
        self._identity: Identity | None = None
        self._deliveries: dict[str, SlackDelivery] = {}
        self._socket: SocketModeClient | None = None
        self._being_taken: set[asyncio.Task[object] | None] = set()
        self._is_doubted = asyncio.Event()

    @property
    def deliveries(self) -> Mapping[str, Delivery]:
        return self._deliveries

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        if not self._signing_secret:
            return ()
        return (slack_route(partial(self._take, admission), self._signing_secret, self._clock),)

    def health(self) -> Health:
        """Connected if Slack answered the latest check, and with Socket Mode if the socket is open as well."""
        health = self._connection.health()
        if not self._app_token:
            return health
        session = self._socket.current_session if self._socket else None
        is_open = session is not None and not session.closed
        return replace(health, connected=health.connected and is_open)

    async def who(self) -> str:
        try:
            identity = await self._identify()
            if self._app_token:
                await self._socket_url()
            return str(identity)
        except ProxyFailed as error:
            raise ConfigError(SETTING, error.reason) from None
        except DeliveryFailed:
            raise ConfigError("slack.base_url", "cannot be reached") from None
        except DeliveryRejected as error:
            raise ConfigError("slack.bot_token", f"Slack says {error.reason}") from None

    async def run(self, admission: Admission) -> None:
        self._identity = await self._connection.persist(self._identify)
        self._deliveries[self._identity.front] = SlackDelivery(self._api, self._identity, self._clock)
        log.info("slack is connected", team=self._identity.team)
        receiving = [self._keep_socket(admission)] if self._app_token else []
        await until_one_ends(self._keep_checking(), *receiving)

    async def close(self) -> None:
        """End all previews."""
        for delivery in self._deliveries.values():
            await delivery.close()

    async def _identify(self) -> Identity:
        with _fault_of("slack.bot_token"):
            return await self._api.identify()

    async def _socket_url(self) -> str:
        with _fault_of("slack.app_token"):
            return await self._api.socket_url(self._app_token)

    async def _keep_checking(self) -> None:
        """Ask Slack every minute who the bot is, and at once if its token may be revoked, so that health notices when
        Slack cannot be reached. Endless. Raises ConfigError if the token was revoked.
        """
        while True:
            await self._until_next_check()
            self._is_doubted.clear()
            await self._connection.persist(self._identify)

    async def _until_next_check(self) -> None:
        try:
            async with self._clock.timeout(CHECK_SECONDS):
                await self._is_doubted.wait()
        except TimeoutError:
            return

    async def _keep_socket(self, admission: Admission) -> None:
        """Open a socket, and another one whenever it stays down. Endless."""
        up_at = self._clock.monotonic()
        while True:
            up_at = await self._serve_socket(admission, up_at)
            log.warning("slack's socket stayed down; opening another")

    async def _serve_socket(self, admission: Admission, up_at: float) -> float:
        """Serve one socket until it stays down; the monotonic time at which it was last up.

        `up_at` is that time of the socket before it.
        """

        async def before_authorize(body: Mapping[str, object]) -> BoltResponse:
            """Handle a payload in full. Bolt's later steps would acknowledge an event before it is stored, and leave
            one without a listener unacknowledged.
            """
            return BoltResponse(status=await self._take(admission, parse(body)), body="")

        app = AsyncApp(name="parley", client=self._client, signing_secret="", before_authorize=before_authorize)
        url = await self._connection.persist(self._socket_url)
        async with open_socket(app, self._app_token, url, self._proxies) as self._socket:
            try:
                return await until_down(self._socket, self._clock, up_at)
            finally:
                await self._until_taken()  # their acknowledgements need the open socket

    async def _take(self, admission: Admission, payload: Payload | None) -> int:
        """Commit a payload to the store; the HTTP status for it. Slack sends it again after any status but 200."""
        if self._identity is None:
            return UNAVAILABLE
        if payload is None:
            return OK
        if isinstance(payload, Unreadable):
            self._connection.skip("another shape than Slack documents")
            return OK
        if isinstance(payload, EventCallback) and isinstance(payload.event, Revoked):
            self._is_doubted.set()
            return OK
        self._being_taken.add(task := asyncio.current_task())
        intake = Intake(self._api, self._identity, self._clock, admission, self._surroundings)
        try:
            with self._connection.skipping(StoreError):
                await intake.take(payload)
        except StoreError as error:
            log.warning("cannot accept", error=type(error).__name__, reason=str(error))
            return UNAVAILABLE
        finally:
            self._being_taken.discard(task)
        return OK

    async def _until_taken(self) -> None:
        """Wait for the payloads that are being taken."""
        if self._being_taken:
            await asyncio.wait(filter(None, set(self._being_taken)))


@asynccontextmanager
async def open_slack(
    settings: SlackSettings,
    clock: Clock,
    *,
    shared_history: bool,
    welcome: Welcome = DEFAULT_WELCOME,
    proxies: Proxies = ENVIRONMENT,
) -> AsyncIterator[Slack]:
    """The front end for one bot, which presents itself as `welcome` says. With `shared_history`, it quotes what others
    wrote in a thread before it was called.

    Raises ConfigError if neither transport is configured.
    """
    if not settings.app_token.get_secret_value() and not settings.signing_secret.get_secret_value():
        raise ConfigError("slack.app_token", "is not set, nor is slack.signing_secret: Slack could not reach us")
    async with open_session(proxies.url_of(settings.base_url), WHOLE_CALL) as session:
        token = settings.bot_token.get_secret_value()
        client = Client(token, settings.base_url, session, clock)
        client.proxy = None  # the session has its proxy: the library's is that of HTTPS_PROXY, whatever NO_PROXY says
        slack = Slack(settings, client, session, clock, shared_history=shared_history, welcome=welcome, proxies=proxies)
        try:
            yield slack
        finally:
            await slack.close()


@contextmanager
def _fault_of(setting: str) -> Iterator[None]:
    """Raise ConfigError for the setting if Slack's refusal of the call will not pass."""
    try:
        yield
    except (TokenRefused, DeliveryRejected) as error:
        if error.reason not in NO_LONGER_OURS:
            raise
        raise ConfigError(setting, f"Slack says {error.reason}") from None
