"""Telegram as a front end. Polling and webhook meet in `take`; an update is confirmed once it is in the store."""

import asyncio
import math
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from hashlib import blake2b

import httpx
import structlog
from pydantic import ValidationError
from starlette.routing import BaseRoute
from telegram import Bot, BotCommand
from telegram.request import HTTPXRequest

from bots.connection import Connection
from bots.fronts import DEFAULT_WELCOME, Health, Welcome
from bots.proxies import ENVIRONMENT, SETTING, Proxies, Proxy
from bots.telegram.acknowledgements import Acknowledgements
from bots.telegram.answers import ReadingRequest
from bots.telegram.api import Profile, TelegramApi
from bots.telegram.budget import Budget
from bots.telegram.buttons import Buttons
from bots.telegram.delivery import TelegramDelivery
from bots.telegram.greeting import greeting
from bots.telegram.http import PATH, NotReady, telegram_route
from bots.telegram.identity import PLATFORM, Identity
from bots.telegram.parts import names_another
from bots.telegram.payloads import CallbackQuery, Update, update_id
from bots.telegram.polling import Poller, Timeouts
from bots.telegram.previews import Previews
from bots.telegram.translate import Added, ButtonPressed, Gesture, Moved, Overheard, translate
from config.settings import TelegramSettings
from core.admission import Admission
from core.backoff import Backoff
from core.bulkhead import bulkhead
from core.buttons import Receipt
from core.clock import Clock
from core.commands import Command
from core.delivery import Delivery
from core.errors import ConfigError, DeliveryFailed, DeliveryRejected, ProxyFailed, StoreError, TokenRefused
from core.i18n import LOCALES, say
from core.messages import Edit, Locale, Message

log = structlog.get_logger()

TOKEN = re.compile(r"(\d{1,18}):[A-Za-z0-9_-]+")
BACKOFF = Backoff(first=1.0, longest=30.0)
CHECK_SECONDS = 60.0
"""Seconds between two questions whether Telegram answers, or sends updates here, if nothing else would tell."""
NAME_CHECK_SECONDS = 30.0
"""Shortest time between two questions for the bot's name, which its operator may change."""
DEFAULT_TIMEOUTS = Timeouts()


class Telegram:
    """A `FrontEnd` for one bot account, made by `open_telegram`."""

    platform = PLATFORM

    def __init__(
        self,
        bot: Bot,
        settings: TelegramSettings,
        clock: Clock,
        timeouts: Timeouts,
        tasks: asyncio.TaskGroup,
        welcome: Welcome,
    ) -> None:
        os.environ.setdefault("PTB_TIMEDELTA", "1")  # the library's newer type for RetryAfter, without a warning
        self._settings = settings
        self._clock = clock
        self._timeouts = timeouts
        self._tasks = tasks
        self._welcome = welcome
        self._token = bot.token
        self._identity = Identity(id=int(bot.token.partition(":")[0]))
        self._name_asked_at = -math.inf
        self._stands_by = False
        self._buttons = Buttons(_digest(bot.token, "buttons"))
        self._connection = Connection(PLATFORM, clock, BACKOFF)
        self._api = TelegramApi(bot, Budget(clock), self._connection)
        self._acknowledgements = Acknowledgements(self._api, self._buttons)
        self._previews = Previews(self._api, clock, tasks)
        self._delivery = TelegramDelivery(self._api, self._previews, self._buttons, welcome.questions)

    @property
    def deliveries(self) -> Mapping[str, Delivery]:
        return {self._identity.front: self._delivery}

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        if self._settings.mode != "webhook":
            return ()
        return (telegram_route(partial(self.take, admission), self._secret),)

    def health(self) -> Health:
        return replace(self._connection.health(), standing_by=self._stands_by)

    async def who(self) -> str:
        try:
            return str(await self._api.identify())
        except TokenRefused:
            raise ConfigError("telegram.token", "Telegram does not accept it") from None
        except ProxyFailed as error:
            raise ConfigError(SETTING, error.reason) from None
        except (DeliveryFailed, DeliveryRejected) as error:
            raise ConfigError("telegram.base_url", f"no good answer ({error.reason})") from None

    async def run(self, admission: Admission) -> None:
        try:
            await self._receive(admission)
        except TokenRefused:
            raise ConfigError("telegram.token", "Telegram has stopped accepting it") from None

    async def take(self, admission: Admission, raw: object) -> None:
        """Commit one update to the store. One that cannot be understood is counted, logged and skipped.

        Raises StoreError if the update could not be stored, NotReady if it came before the bot knew its name.
        """
        if not self._identity.username:
            raise NotReady
        with self._connection.skipping(StoreError):
            await self._take(admission, raw)

    async def _take(self, admission: Admission, raw: object) -> None:
        try:
            update = Update.model_validate(raw)
        except (ValidationError, RecursionError) as error:
            self._connection.skip(type(error).__name__, update=update_id(raw))
            return
        post = update.message or update.edited_message
        if post is not None and names_another(post, self._identity):
            await self._check_name()
        gesture = translate(
            update,
            self._identity,
            groups=self._settings.groups,
            buttons=self._buttons,
            desk=_desk(admission, self._identity),
        )
        receipt = await self._admit(admission, gesture)
        if update.callback_query is not None:
            self._tasks.create_task(self._acknowledge(update.callback_query, receipt))

    async def _admit(self, admission: Admission, gesture: Gesture | None) -> Receipt:
        """Commit what somebody did; the receipt for a press of a button."""
        match gesture:
            case Message() as message:
                await admission.accept(message)
            case Edit() as edit:
                await admission.edit(edit)
            case Overheard(message=message):
                await admission.overhear(message)
            case ButtonPressed(button=button, press=press):
                return await admission.press(button.action, press)
            case Added() as added:
                await self._greet(admission, added)
            case Moved() as moved:
                self._delivery.move(int(moved.old.chat), int(moved.new.chat))
                await admission.move(moved.old, moved.new)
        return Receipt()

    async def _acknowledge(self, query: CallbackQuery, receipt: Receipt) -> None:
        with bulkhead() as outcome:
            await self._acknowledgements.show(query, receipt)
        if outcome.fault:
            log.warning("button not acknowledged", fault=outcome.fault)

    async def _greet(self, admission: Admission, added: Added) -> None:
        """Greet a group. Its operator may have changed the privacy mode since the bot last asked."""
        await self._check_name()
        identity, groups = self._identity, self._settings.groups
        hears_all = identity.hears_all or added.as_administrator
        await admission.greet(added.opening, lambda locale: greeting(identity, groups, locale, hears_all=hears_all))

    async def _receive(self, admission: Admission) -> None:
        """Fetch updates, unless another gateway does, or have them sent. Endless. Raises TokenRefused."""
        await self._connection.persist(self._learn_name)
        if self._settings.mode == "webhook":
            await self._connection.persist(self._set_webhook)
            await self._introduce()
            await self._keep_webhook()
        else:
            await self._introduce()
            await admission.duties.perform(
                f"fetch {self._identity.front}", partial(self._fetch, admission), self._stand_by
            )

    async def _fetch(self, admission: Admission) -> None:
        """Fetch updates. Those that another gateway has fetched and not confirmed come again. Endless."""
        await self._connection.persist(self._api.delete_webhook)  # updates that wait at Telegram are kept
        log.info("telegram is connected", mode=self._settings.mode)
        await Poller(self._api, self._connection, self._clock, self._timeouts, partial(self.take, admission)).run()

    async def _stand_by(self) -> None:
        """Deliver replies only, and check every minute whether Telegram answers. Endless."""
        self._stands_by = True
        try:
            while True:
                await self._clock.sleep(CHECK_SECONDS)
                await self._connection.persist(self._learn_name)
        finally:
            self._stands_by = False

    async def close(self) -> None:
        """End all previews."""
        await self._previews.end_all()

    async def _learn_name(self) -> None:
        self._identity = await self._api.identify()

    async def _set_webhook(self) -> None:
        """Have updates sent here. Those that wait at Telegram are kept."""
        await self._api.set_webhook(self._webhook_url, self._secret)
        log.info("telegram is connected", mode=self._settings.mode)

    async def _check_name(self) -> None:
        """Ask for the bot's name again, unless that was done a moment ago."""
        if self._clock.monotonic() - self._name_asked_at < NAME_CHECK_SECONDS:
            return
        self._name_asked_at = self._clock.monotonic()
        try:
            self._identity = await self._api.identify()
        except (DeliveryFailed, DeliveryRejected) as error:
            log.info("name not checked", reason=error.reason)

    async def _introduce(self) -> None:
        """Offer the menu of commands, and describe the bot. It works without either."""
        for what, show in (
            ("commands are not in the menu", self._offer_menu),
            ("bot is not described", self._describe),
        ):
            with bulkhead() as outcome:
                try:
                    await show()
                except (DeliveryFailed, DeliveryRejected) as error:
                    log.warning(what, reason=error.reason)
            if outcome.fault:
                log.error(what, fault=outcome.fault)

    async def _offer_menu(self) -> None:
        """Set the menu of commands in each language, English for all others."""
        await self._api.set_menu(_described(self._welcome.menu, "en"))
        for locale in LOCALES:
            await self._api.set_menu(_described(self._welcome.menu, locale), locale)

    async def _describe(self) -> None:
        """Describe the bot in each language, in English for all others."""
        if not self._settings.describe:
            return
        await self._api.describe(_profile(self._welcome.name, "en"))
        for locale in LOCALES:
            await self._api.describe(_profile(self._welcome.name, locale), locale)

    async def _keep_webhook(self) -> None:
        """Check every minute whether updates are still sent here, and set the webhook again if not. Endless."""
        while True:
            await self._clock.sleep(CHECK_SECONDS)
            if await self._connection.persist(self._api.webhook_url) != self._webhook_url:
                await self._connection.persist(self._set_webhook)

    @property
    def _webhook_url(self) -> str:
        return self._settings.webhook_url + PATH

    @property
    def _secret(self) -> str:
        """The configured secret, or one derived from the token."""
        return self._settings.webhook_secret.get_secret_value() or _digest(self._token, "webhook").hex()


@asynccontextmanager
async def open_telegram(
    settings: TelegramSettings,
    clock: Clock,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    *,
    welcome: Welcome = DEFAULT_WELCOME,
    proxies: Proxies = ENVIRONMENT,
) -> AsyncIterator[Telegram]:
    """The front end for one bot, which presents itself as `welcome` says.

    Raises ConfigError if the token is malformed or the webhook has no address.
    """
    token = settings.token.get_secret_value()
    if not TOKEN.fullmatch(token):
        raise ConfigError("telegram.token", "should look like 123456:ABC-DEF")
    if settings.mode == "webhook" and not settings.webhook_url:
        raise ConfigError("telegram.webhook_url", "is needed for mode webhook")
    async with AsyncExitStack() as stack:
        proxy = proxies.of(settings.base_url)
        calls = ReadingRequest(_requests(proxy, read_timeout=timeouts.read), clock)
        polls = ReadingRequest(_requests(proxy, connection_pool_size=1), clock)
        stack.push_async_callback(calls.shutdown)
        stack.push_async_callback(polls.shutdown)
        bot = Bot(token, f"{settings.base_url}/bot", request=calls, get_updates_request=polls)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        telegram = Telegram(bot, settings, clock, timeouts, tasks, welcome)
        stack.push_async_callback(telegram.close)
        yield telegram


def _desk(admission: Admission, identity: Identity) -> int:
    """The chat in which people work who take conversations over; 0 if there is none here."""
    place = admission.help_desk
    return int(place.chat) if place and place.front == identity.front else 0


def _requests(proxy: Proxy | None, *, read_timeout: float = 5.0, connection_pool_size: int = 256) -> HTTPXRequest:
    """Calls through the proxy. The library would take another one from the environment; certificates are still taken
    from there.
    """
    return HTTPXRequest(
        connection_pool_size,
        read_timeout,
        proxy=proxy.url if proxy else None,
        httpx_kwargs={"trust_env": False, "verify": httpx.create_ssl_context()},
    )


def _described(menu: Sequence[Command], locale: Locale) -> list[BotCommand]:
    return [BotCommand(command.name, command.describe(locale)) for command in menu]


def _profile(name: str, locale: Locale) -> Profile:
    """Telegram takes 512 characters of a description, and 120 of a short one."""
    description, short = (say(locale, f"profile.{key}", name=name) for key in ("description", "short"))
    return Profile(description=description[:512], short=short[:120])


def _digest(token: str, use: str) -> bytes:
    return blake2b(token.encode(), person=use.encode(), digest_size=32).digest()
