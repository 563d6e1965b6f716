"""Telegram as a front end. Polling and webhook meet in `take`; an update is confirmed once it is in the store."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from hashlib import blake2b

import structlog
from pydantic import ValidationError
from starlette.routing import BaseRoute
from telegram import Bot, BotCommand
from telegram.error import InvalidToken
from telegram.request import HTTPXRequest

from bots.fronts import Health
from bots.telegram.budget import Budget
from bots.telegram.buttons import Buttons
from bots.telegram.delivery import TelegramDelivery
from bots.telegram.outbox import TROUBLE, Outbox
from bots.telegram.patience import Patience
from bots.telegram.polling import WANTED, Poller, Timeouts
from bots.telegram.previews import Previews
from bots.telegram.shapes import Query, Update, update_id
from bots.telegram.translate import PLATFORM, Me, Moved, Vote, translate
from bots.telegram.webhook import PATH, NotYet, webhook
from config.settings import TelegramSettings
from core.admission import Admission
from core.clock import Clock
from core.commands import COMMANDS
from core.delivery import Delivery
from core.errors import ConfigError
from core.i18n import LOCALES, say
from core.messages import ConversationKey, Locale, Message

log = structlog.get_logger()

TOKEN = re.compile(r"(\d{1,18}):[A-Za-z0-9_-]+")
LOOK_AT_WEBHOOK = 60.0
USUAL = Timeouts()


class Telegram:
    """A `FrontEnd`, made by `open_telegram`."""

    platform = PLATFORM

    def __init__(
        self, bot: Bot, me: Me, settings: TelegramSettings, clock: Clock, timeouts: Timeouts, tasks: asyncio.TaskGroup
    ) -> None:
        self._bot = bot
        self._me = me
        self._settings = settings
        self._clock = clock
        self._timeouts = timeouts
        self._tasks = tasks
        self._patience = Patience(clock)
        outbox = Outbox(bot, Budget(clock))
        self._previews = Previews(outbox, clock, tasks)
        self._delivery = TelegramDelivery(outbox, self._previews, me.buttons)

    @property
    def deliveries(self) -> Mapping[str, Delivery]:
        return {ConversationKey(platform=PLATFORM, workspace=str(self._me.id), chat="").front: self._delivery}

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        if self._settings.mode != "webhook":
            return ()
        return (webhook(self._secret, partial(self.take, admission)),)

    def health(self) -> Health:
        return self._patience.health()

    async def who(self) -> str:
        try:
            return (await self._bot.get_me()).name
        except InvalidToken:
            raise ConfigError("telegram.token", "Telegram does not accept it") from None
        except TROUBLE as error:
            raise ConfigError("telegram.base_url", f"no good answer ({type(error).__name__})") from None

    async def run(self, admission: Admission) -> None:
        await self._patience.persist(self._introduce)
        await self._offer_menu()
        if self._settings.mode == "webhook":
            await self._keep_webhook()
        else:
            await Poller(self._bot, self._patience, self._clock, self._timeouts, partial(self.take, admission)).run()

    async def take(self, admission: Admission, raw: object) -> None:
        """Take one update in. Raises StoreError if it could not be kept, NotYet if it came too early by webhook; what
        nobody can read is left out.
        """
        if not self._me.username:
            raise NotYet
        try:
            update = Update.model_validate(raw)
        except ValidationError as error:
            log.warning("update skipped", update=update_id(raw), problems=error.error_count())
            return
        thanks_in: Locale | None = None
        match translate(update, self._me):
            case Message() as message:
                await admission.accept(message)
            case Vote() as vote:
                thanks_in = await admission.vote(vote.turn_id, vote.person, vote.value)
            case Moved() as moved:
                self._delivery.move(int(moved.old.chat), int(moved.new.chat))
                await admission.move(moved.old, moved.new)
        if update.callback_query is not None:
            self._tasks.create_task(self._acknowledge(update.callback_query, thanks_in))

    async def close(self) -> None:
        """Let previews come to their end."""
        await self._previews.end_all()

    async def _introduce(self) -> None:
        """Learn the bot's name, and have updates come the way we take them. None that wait are thrown away."""
        user = await self._bot.get_me()
        self._me = replace(self._me, username=user.username or "")
        if self._settings.mode == "webhook":
            await self._bot.set_webhook(self._webhook_url, secret_token=self._secret, allowed_updates=WANTED)
        else:
            await self._bot.delete_webhook()
        log.info("telegram is connected", mode=self._settings.mode)

    async def _offer_menu(self) -> None:
        """The commands in each language; English for everybody else. The bot does without if need be."""
        try:
            await self._bot.set_my_commands(_menu("en"))
            for locale in LOCALES:
                await self._bot.set_my_commands(_menu(locale), language_code=locale)
        except TROUBLE as error:
            log.warning("commands are not in the menu", error=type(error).__name__)

    async def _keep_webhook(self) -> None:
        """For ever: look whether updates still come to us, and see to it if not."""
        while True:
            await self._clock.sleep(LOOK_AT_WEBHOOK)
            info = await self._patience.persist(self._bot.get_webhook_info)
            if info.url != self._webhook_url:
                await self._patience.persist(self._introduce)

    async def _acknowledge(self, query: Query, thanks_in: Locale | None) -> None:
        """Stop the button's spinner, and thank for a vote that counts."""
        thanks = say(thanks_in, "feedback.thanks") if thanks_in else None
        try:
            await self._bot.answer_callback_query(query.id, thanks)
        except TROUBLE as error:
            log.debug("button not acknowledged", error=type(error).__name__)

    @property
    def _webhook_url(self) -> str:
        return self._settings.webhook_url + PATH

    @property
    def _secret(self) -> str:
        """The configured secret, or one that nobody knows without the token."""
        return self._settings.webhook_secret.get_secret_value() or _digest(self._bot.token, "webhook").hex()


@asynccontextmanager
async def open_telegram(
    settings: TelegramSettings, clock: Clock, timeouts: Timeouts = USUAL
) -> AsyncIterator[Telegram]:
    """The front end for one bot. Raises ConfigError for a token that cannot be one, or a webhook without address."""
    token = settings.token.get_secret_value()
    found = TOKEN.fullmatch(token)
    if found is None:
        raise ConfigError("telegram.token", "should look like 123456:ABC-DEF")
    if settings.mode == "webhook" and not settings.webhook_url:
        raise ConfigError("telegram.webhook_url", "is needed for mode webhook")
    os.environ.setdefault("PTB_TIMEDELTA", "1")  # the library's future way to say how long to wait
    buttons = Buttons(_digest(token, "buttons"))
    me = Me(id=int(found[1]), username="", groups=settings.groups, buttons=buttons)
    async with AsyncExitStack() as stack:
        calls, polls = HTTPXRequest(read_timeout=timeouts.read), HTTPXRequest(connection_pool_size=1)
        stack.push_async_callback(calls.shutdown)
        stack.push_async_callback(polls.shutdown)
        bot = Bot(token, f"{settings.base_url}/bot", request=calls, get_updates_request=polls)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        telegram = Telegram(bot, me, settings, clock, timeouts, tasks)
        stack.push_async_callback(telegram.close)
        yield telegram


def _menu(locale: Locale) -> list[BotCommand]:
    return [BotCommand(command.name, command.describe(locale)) for command in COMMANDS]


def _digest(token: str, use: str) -> bytes:
    return blake2b(token.encode(), person=use.encode(), digest_size=32).digest()
