"""Intake of payloads from both transports: a message is in the store, or not for the bot, before Slack is told."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from bots.slack.api import Place, Session, SlackApi
from bots.slack.forms import plain_form
from bots.slack.identity import Identity
from bots.slack.locales import Locales
from bots.slack.parts import earlier
from bots.slack.payloads import Payload, ThreadMessage
from bots.slack.reference import Reference, place_of
from bots.slack.strangers import Strangers
from bots.slack.threads import Threads
from bots.slack.translate import (
    ButtonPressed,
    ChatOpened,
    Deleted,
    DirectMessages,
    Edited,
    Heard,
    Overheard,
    StopPressed,
    translate,
)
from core import presses
from core.accepting import Duplicate, Ignored, Refused
from core.admission import Admission
from core.buttons import Press
from core.clock import Clock
from core.errors import NOT_ALLOWED, DeliveryFailed, DeliveryRejected, NotAllowed
from core.i18n import say
from core.messages import ConversationKey, Edit, Kind, Locale, Message, Person

log = structlog.get_logger()

OPTIONAL_SECONDS = 1.0
"""Time limit of calls before the acknowledgement that an answer can do without. Slack waits three seconds for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the intake knows between payloads, and how the bot is set up.

    With `shared_history`, everybody's messages in a thread are quoted. `questions` are the prompts to suggest.
    """

    threads: Threads
    directs: DirectMessages
    locales: Locales
    strangers: Strangers
    shared_history: bool
    questions: Mapping[Locale, Sequence[str]]


class Intake:
    """Takes payloads for one bot account."""

    def __init__(
        self, api: SlackApi, identity: Identity, clock: Clock, admission: Admission, surroundings: Surroundings
    ) -> None:
        self._api = api
        self._identity = identity
        self._clock = clock
        self._admission = admission
        self._threads = surroundings.threads
        self._directs = surroundings.directs
        self._locales = surroundings.locales
        self._strangers = surroundings.strangers
        self._shared_history = surroundings.shared_history
        self._questions = surroundings.questions

    async def take(self, payload: Payload) -> None:
        """Commit a payload to the store; then it can be acknowledged. Raises StoreError if it must not be."""
        match translate(payload, self._identity, self._clock.now(), directs=self._directs):
            case Heard() as heard:
                await self._hear(heard)
            case Overheard(thread=thread, speaker=speaker):
                self._threads.hear(thread, speaker)
            case Edited(edit=edit, follows=follows):
                await self._edit(edit, follows=follows)
            case Deleted(deletion=deletion):
                await self._admission.delete(deletion)
            case ButtonPressed() as pressed:
                await self._press(pressed)
            case StopPressed(press=press):
                await self._stop(press)
            case ChatOpened(opening=opening):
                await self._welcome(opening)

    async def _hear(self, heard: Heard) -> None:
        if await self._is_operators(heard):
            return
        message = await self._at_home(heard.message, follows=heard.follows)
        thread = message.conversation
        is_followed = heard.follows and await self._admission.takes_part(thread)
        if not heard.addressed and not (is_followed and self._threads.hear(thread, message.sender)):
            return
        if await self._admission.allows(message.sender, thread):
            if heard.follows and not (is_followed and message.has_words):
                message = await self._with_thread(message)
        elif not heard.addressed:
            return  # no notice to a person who wrote to others
        outcome = await self._admission.accept(message)
        match outcome:
            case Duplicate() if heard.edit:
                await self._edit(heard.edit, follows=heard.follows)
            case Refused(error=NotAllowed()):
                self._strangers.tell(message.sender)
        if heard.addressed and not isinstance(outcome, Duplicate):
            self._threads.address(thread)

    async def _is_operators(self, heard: Heard) -> bool:
        """Whether a message is an operator's, in the thread of a conversation that is handed over. It is accepted then,
        or tells of its edit alone.
        """
        place = heard.message.conversation
        if not heard.follows or replace(place, thread="") != self._admission.help_desk:
            return False
        outcome = await self._admission.overhear(heard.message)
        if isinstance(outcome, Duplicate) and heard.edit:
            await self._admission.edit(heard.edit)
        return not isinstance(outcome, Ignored)

    async def _with_thread(self, message: Message) -> Message:
        """A message that cannot be understood alone, with the earlier messages of its thread as quotes: the first one
        to the bot there, or a mention without words.
        """
        if message.text.startswith("/"):
            return message
        thread: Sequence[ThreadMessage] = ()
        async with self._optional("thread not read"):
            thread = await self._api.thread(place_of(message))
        sender = message.sender.id
        told = [earlier(said, sender, self._identity) for said in thread if self._may_be_quoted(said, message)]
        return replace(message, quotes=(*told, *message.quotes))

    async def _edit(self, edit: Edit, *, follows: bool) -> None:
        message = await self._at_home(edit.message, follows=follows)
        await self._admission.edit(replace(edit, message=message))

    async def _at_home(self, message: Message, *, follows: bool) -> Message:
        """The message in the conversation that it belongs to. It is still answered in its thread."""
        if not follows or message.kind is not Kind.PRIVATE:
            return message
        home = await self._home(message.conversation)
        reference = Reference(ts=message.reference, thread=message.conversation.thread)
        return (
            message if home == message.conversation else replace(message, conversation=home, reference=str(reference))
        )

    async def _home(self, thread: ConversationKey) -> ConversationKey:
        """The conversation that a thread belongs to: that of the direct message which began it, or its own."""
        whole = replace(thread, thread="")
        return whole if await self._admission.has_accepted(whole, thread.thread) else thread

    def _may_be_quoted(self, said: ThreadMessage, message: Message) -> bool:
        """Whether it is an earlier message of the sender, of another app, or of any person if they share a history."""
        if said.user == self._identity.user or float(said.ts) >= message.sent_at:
            return False
        return self._shared_history or said.bot_id != "" or said.user == message.sender.id

    async def _press(self, pressed: ButtonPressed) -> None:
        """Do what a button does. A vote is named to the voter, unless Slack marks it."""
        receipt = await self._admission.press(pressed.button.action, pressed.press)
        is_seen = receipt.vote and pressed.is_marked
        is_repeated = receipt.error == NOT_ALLOWED and not self._strangers.tell(pressed.press.person)
        if receipt.notice and not is_seen and not is_repeated:
            await self._whisper(pressed.press, f"{pressed.button.face * bool(receipt.vote)} {receipt.notice}".strip())

    async def _stop(self, press: Press) -> None:
        """End the person's answers in the thread. Other people's go on, and so does the session.

        The end of an answer ends the processing of the session. If there was nothing to stop, it ends here.
        """
        home = await self._home(press.conversation)
        receipt = await self._admission.press(presses.stop, replace(press, conversation=home))
        if receipt.error:
            await self._whisper(press, receipt.notice)
        elif receipt.notice and not receipt.interrupts:
            await self._end_processing(press)

    async def _end_processing(self, press: Press) -> None:
        async with self._optional("session not updated"):
            await self._api.set_session(Place.of(press.conversation), Session.ACTIVE)

    async def _whisper(self, press: Press, words: str) -> None:
        """Tell the person who pressed a button alone, where they pressed it."""
        async with self._optional("notice not shown"):
            await self._api.whisper(Place.of(press.conversation), press.person.id, plain_form(words))

    async def _welcome(self, opening: Message) -> None:
        """Welcome a person who may talk to the bot, the first time, and suggest prompts, each time."""
        if not await self._admission.allows(opening.sender, opening.conversation):
            return
        opening = replace(opening, sender=await self._hinted(opening.sender))
        await self._admission.greet(opening)
        locale = await self._admission.language(opening.sender)
        if prompts := self._questions.get(locale):
            async with self._optional("nothing suggested"):
                await self._api.suggest(opening.conversation.chat, say(locale, "slack.suggestions"), prompts)

    async def _hinted(self, person: Person) -> Person:
        async with self._optional("language not asked"):
            return await self._locales.hinted(person)
        return person

    @asynccontextmanager
    async def _optional(self, failure: str) -> AsyncIterator[None]:
        """A call that the acknowledgement does not wait for longer than a moment; a failure is logged and ignored."""
        try:
            async with self._clock.timeout(OPTIONAL_SECONDS):
                yield
        except (DeliveryFailed, DeliveryRejected, TimeoutError) as error:
            log.info(failure, error=type(error).__name__)
