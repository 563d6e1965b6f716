"""Where payloads of both transports arrive: a message is in the store, or known not to be for us, before the ack."""

from collections.abc import Mapping
from dataclasses import replace

import structlog

from bots.slack.places import Bot, Place
from bots.slack.text import plain
from bots.slack.translate import Heard, Opened, Vote, read
from bots.slack.web import NotTaken, Said, Web
from core.admission import Admission
from core.clock import Clock
from core.errors import DeliveryFailed
from core.i18n import LOCALES, say
from core.messages import Message

log = structlog.get_logger()

ASIDE_SECONDS = 1.0
"""Slack waits three seconds for the ack: what can be done without has one of them."""
PROMPTS = ("prompt_day", "prompt_story")


class Intake:
    """Takes what one bot account is sent. With `shared`, everybody's words in a thread are quoted to the model."""

    def __init__(self, web: Web, bot: Bot, clock: Clock, admission: Admission, *, shared: bool) -> None:
        self._web = web
        self._bot = bot
        self._clock = clock
        self._admission = admission
        self._shared = shared

    async def take(self, body: Mapping[str, object]) -> None:
        """Once this returns, Slack may be told; if it raises StoreError, it may not."""
        match read(body, self._bot, self._clock.now()):
            case Heard() as heard:
                await self._hear(heard)
            case Vote(turn_id=turn_id, person=person, vote=vote):
                await self._admission.vote(turn_id, person, vote)
            case Opened(channel=channel):
                await self._suggest(channel)

    async def _hear(self, heard: Heard) -> None:
        message = heard.message
        if not self._admission.allows(message.sender):
            if heard.addressed:  # what people say to each other is answered to nobody
                await self._admission.accept(message)
            return
        if heard.follows and not await self._admission.takes_part(message.conversation):
            if not heard.addressed:
                return
            message = await self._with_thread(message)
        await self._admission.accept(message)

    async def _with_thread(self, message: Message) -> Message:
        """The first message to the bot in a thread that was there before, with what was said there above it."""
        if message.text.startswith("/"):
            return message
        place = Place(channel=message.conversation.chat, thread=message.conversation.thread)
        try:
            async with self._clock.timeout(ASIDE_SECONDS):
                said = await self._web.replies(place)
        except (DeliveryFailed, NotTaken, TimeoutError) as error:
            log.info("thread not read", error=type(error).__name__)
            return message
        lines = [self._line(one) for one in said if self._may_be_quoted(one, message)]
        return replace(message, context="\n".join(lines))

    def _may_be_quoted(self, said: Said, message: Message) -> bool:
        """People's words before this one; others' only where the people of a chat share what the model reads."""
        earlier = not said.by_bot and said.text.strip() != "" and float(said.ts) < float(message.reference)
        return earlier and (self._shared or said.user == message.sender.id)

    def _line(self, said: Said) -> str:
        return " ".join(plain(said.text, self._bot.user).split())

    async def _suggest(self, channel: str) -> None:
        """Nobody's language is known here, so that there is something in each."""
        prompts = [say(locale, f"slack.{prompt}") for locale in LOCALES for prompt in PROMPTS]
        title = " · ".join(say(locale, "slack.suggestions") for locale in LOCALES)
        try:
            async with self._clock.timeout(ASIDE_SECONDS):
                await self._web.suggest(channel, title, prompts)
        except (DeliveryFailed, NotTaken, TimeoutError) as error:
            log.info("nothing suggested", error=type(error).__name__)
