"""The console front end: chat in a terminal or through a pipe."""

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from uuid import uuid4

from bots.app import open_bot
from bots.lines import piped_lines, typed_lines
from bots.progress import counting
from bots.screens import JsonScreen, LineScreen, Screen, Seconds, TerminalScreen
from bots.terminal import terminal_locale
from config.options import fixed_locale
from config.settings import Settings
from core.accepting import Refused
from core.admission import Admission
from core.apologies import apology, fault_of
from core.clock import Clock, ShiftedClock, SystemClock
from core.delivery import Claim
from core.errors import DeliveryRejected, StoreError
from core.i18n import say
from core.language import Languages
from core.messages import ConversationKey, Locale, Message, Person, Reply

PLATFORM = "console"
GOODBYES = {"/quit", "/exit"}


@dataclass(slots=True, kw_only=True)
class _Question:
    """The message being answered. `begun` and `first_piece` are monotonic; `turn_id` is None if there is no turn."""

    begun: float
    turn_id: asyncio.Future[int | None]
    replied: asyncio.Event
    first_piece: float | None = None


class Console:
    """A `Delivery` to one screen, and the intake of its messages, one at a time."""

    def __init__(self, user: str, screen: Screen, clock: Clock, locale: Locale) -> None:
        self.conversation = ConversationKey(platform=PLATFORM, workspace=user, chat=user)
        self._person = Person(platform=PLATFORM, workspace=user, id=user, locale=terminal_locale())
        self._locale = locale
        self._screen = screen
        self._clock = clock
        self._question: _Question | None = None

    async def ask(self, admission: Admission, text: str) -> None:
        """Admit one message, and return once its reply is on the screen."""
        question = _Question(
            begun=self._clock.monotonic(),
            turn_id=asyncio.get_running_loop().create_future(),
            replied=asyncio.Event(),
        )
        self._question = question
        self._screen.thinking()
        try:
            outcome = await admission.accept(self._message(text))
        except StoreError as error:
            question.turn_id.set_result(None)
            self._show(question, apology(fault_of(error), self._locale))
            return
        if isinstance(outcome, Refused) and outcome.turn_id is None:
            question.turn_id.set_result(None)
            self._show(question, outcome.notice)
            return
        question.turn_id.set_result(getattr(outcome, "turn_id", None))
        await question.replied.wait()

    async def begin(self, claim: Claim) -> str:  # noqa: ARG002
        """Post no placeholder: a terminal cannot replace what it has printed."""
        return ""

    async def open_thread(self, claim: Claim) -> str:
        """Nobody takes conversations over in a terminal."""
        raise DeliveryRejected(f"no threads for turn {claim.id}")

    async def preview(self, claim: Claim, piece: str) -> None:
        if question := await self._question_of(claim):
            question.first_piece = question.first_piece or self._clock.monotonic()
            self._screen.piece(piece)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        if question := await self._question_of(claim):
            self._show(question, reply)
        else:
            self._screen.recovered(reply)
        return claim.handle

    async def withdraw(self, claim: Claim) -> None:
        """Do nothing: what is printed cannot be deleted, and what is typed cannot be withdrawn."""

    async def drop(self, claim: Claim) -> None:
        """Do nothing: no other process serves this console."""

    async def _question_of(self, claim: Claim) -> _Question | None:
        """The current question if the claim is its turn. Waits for the turn's id, since a worker may be faster than
        `ask`.
        """
        question = self._question
        return question if question and await question.turn_id == claim.id else None

    def _show(self, question: _Question, reply: Reply) -> None:
        first = None if question.first_piece is None else round(question.first_piece - question.begun, 4)
        total = round(self._clock.monotonic() - question.begun, 4)
        self._screen.reply(reply, Seconds(first_token=first, total=total))
        question.replied.set()

    def _message(self, text: str) -> Message:
        return Message(
            event_keys=(f"console:{uuid4()}",),
            conversation=self.conversation,
            sender=self._person,
            text=text,
            sent_at=self._clock.now(),
        )


async def run_console(settings: Settings, *, user: str, as_json: bool) -> None:
    """Chat until the input ends."""
    clock = ShiftedClock(clock=SystemClock())
    locale = Languages(hint=terminal_locale()).own_words(fixed_locale(settings))
    interactive = sys.stdin.isatty() and not as_json
    screen = _screen(locale, interactive=interactive, as_json=as_json)
    console = Console(user, screen, clock, locale)
    front = console.conversation.front
    async with AsyncExitStack() as stack:
        with counting(say(locale, "console.indexing")) as indexing:
            opening = open_bot(
                settings, clock, {front: console}, [front], indexing=indexing, converting=screen.converting
            )
            bot = await stack.enter_async_context(opening)
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
