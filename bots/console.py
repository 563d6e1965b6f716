"""The console: a terminal or a pipe as a front end of the bot."""

import asyncio
import os
import sys
from dataclasses import dataclass
from uuid import uuid4

from bots.app import open_bot
from bots.lines import piped_lines, typed_lines
from bots.screens import JsonScreen, LineScreen, Screen, Seconds, TerminalScreen
from config.options import fixed_locale
from config.settings import Settings
from core.admission import Admission, Refused
from core.apologies import apology
from core.clock import Clock, SystemClock
from core.delivery import Claim
from core.errors import StoreError
from core.i18n import say
from core.language import Languages, locale_of_tag
from core.messages import ConversationKey, Locale, Message, Person, Reply

PLATFORM = "console"
GOODBYES = {"/quit", "/exit"}


@dataclass(slots=True, kw_only=True)
class _Asked:
    """The message at hand: when it came, its turn once it is known, when its first piece came, and its end."""

    begun: float
    turn_id: asyncio.Future[int | None]
    replied: asyncio.Event
    first_piece: float | None = None


class Console:
    """A `Delivery` to one screen, and the way messages come in. One message is asked at a time."""

    def __init__(self, user: str, screen: Screen, clock: Clock, locale: Locale) -> None:
        self.conversation = ConversationKey(platform=PLATFORM, workspace=user, chat=user)
        self._person = Person(platform=PLATFORM, workspace=user, id=user, locale=_terminal_locale())
        self._locale = locale
        self._screen = screen
        self._clock = clock
        self._asked: _Asked | None = None

    async def ask(self, admission: Admission, text: str) -> None:
        """Take one message in and return when its reply is on the screen."""
        asked = _Asked(
            begun=self._clock.monotonic(),
            turn_id=asyncio.get_running_loop().create_future(),
            replied=asyncio.Event(),
        )
        self._asked = asked
        self._screen.thinking()
        try:
            outcome = await admission.accept(self._message(text))
        except StoreError as error:
            asked.turn_id.set_result(None)
            self._show(asked, apology(error, self._locale))
            return
        if isinstance(outcome, Refused) and outcome.turn_id is None:
            asked.turn_id.set_result(None)
            self._show(asked, outcome.notice)
            return
        asked.turn_id.set_result(getattr(outcome, "turn_id", None))
        await asked.replied.wait()

    async def begin(self, claim: Claim) -> str:  # noqa: ARG002
        """A terminal cannot replace what it has shown, so nothing is shown."""
        return ""

    async def preview(self, claim: Claim, piece: str) -> None:
        if asked := await self._asked_by(claim):
            asked.first_piece = asked.first_piece or self._clock.monotonic()
            self._screen.piece(piece)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        if asked := await self._asked_by(claim):
            self._show(asked, reply)
        else:
            self._screen.recovered(reply)
        return claim.handle

    async def drop(self, claim: Claim) -> None:
        """Nobody else writes to this terminal."""

    async def _asked_by(self, claim: Claim) -> _Asked | None:
        """The message at hand if the claim is its turn, which may begin before its admission has returned."""
        asked = self._asked
        return asked if asked and await asked.turn_id == claim.id else None

    def _show(self, asked: _Asked, reply: Reply) -> None:
        first = None if asked.first_piece is None else round(asked.first_piece - asked.begun, 4)
        total = round(self._clock.monotonic() - asked.begun, 4)
        self._screen.reply(reply, Seconds(first_token=first, total=total))
        asked.replied.set()

    def _message(self, text: str) -> Message:
        return Message(
            event_keys=(f"console:{uuid4()}",),
            conversation=self.conversation,
            sender=self._person,
            text=text,
            sent_at=self._clock.now(),
        )


async def run_console(settings: Settings, *, user: str, as_json: bool) -> None:
    """Talk until the input ends."""
    clock = SystemClock()
    locale = Languages(hint=_terminal_locale()).own_words(fixed_locale(settings))
    interactive = sys.stdin.isatty() and not as_json
    console = Console(user, _screen(locale, interactive=interactive, as_json=as_json), clock, locale)
    front = console.conversation.front
    async with open_bot(settings, clock, {front: console}, served=[front]) as bot:
        if interactive:
            print(say(locale, "console.welcome", name="Parley"))  # noqa: T201
        async for line in typed_lines("> ") if interactive else piped_lines():
            if line.strip() in GOODBYES:
                break
            if line.strip() or not interactive:
                await console.ask(bot.admission, line)
        if interactive:
            print(say(locale, "console.goodbye"))  # noqa: T201


def _screen(locale: Locale, *, interactive: bool, as_json: bool) -> Screen:
    if as_json:
        return JsonScreen()
    return TerminalScreen(locale) if interactive else LineScreen()


def _terminal_locale() -> Locale | None:
    """The language that the environment names, as gettext reads it."""
    return locale_of_tag(os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG"))
