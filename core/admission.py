"""The door: what people do is committed to the store, or refused, before the platform gets its acknowledgement."""

import hmac
from collections.abc import Iterable, Sequence
from typing import Protocol

from core import accepting, corrections, presses
from core.accepting import Accepted, Outcome, Refused
from core.buttons import Press, Receipt
from core.clock import Clock
from core.delivery import Claim
from core.duties import Duties, SoleDuties
from core.greeting import Words, greet
from core.keys import Key, find_key
from core.limits import Limits, may_write
from core.measures import Measures
from core.messages import ConversationKey, Deletion, Edit, Locale, Message, Person
from core.notice_board import NoticeBoard
from core.presses import Action
from core.store import Store, events, history, installation, people, transcripts, turns
from core.store.transcripts import Shown
from core.tracing import UNTRACED, Tracing


class Workforce(Protocol):
    """The worker, as admission sees it."""

    def notify(self) -> None:
        """A turn is waiting."""

    def interrupt(self, turn_id: int) -> None:
        """Stop the reply to this turn."""


class Admission:
    """Accepts messages, one transaction each, and notifies the worker.

    `duties` are for front ends that fetch their messages. The `board` has what other gateways notice.
    """

    def __init__(  # noqa: PLR0913  what a front end needs of the bot
        self,
        store: Store,
        clock: Clock,
        limits: Limits,
        workforce: Workforce,
        measures: Measures | None = None,
        tracing: Tracing = UNTRACED,
        *,
        duties: Duties | None = None,
        board: NoticeBoard | None = None,
    ) -> None:
        self.duties = duties or SoleDuties()
        self._store = store
        self._clock = clock
        self._limits = limits
        self._workforce = workforce
        self._measures = measures or Measures()
        self._tracing = tracing
        self.board = board or NoticeBoard()

    async def accept(self, message: Message) -> Outcome:
        """Accept a message. Acknowledge it to the platform after this returns, and not if it raises StoreError."""
        now = self._clock.now()
        outcome = await self._store.run(accepting.accept, message, self._limits, now)
        return self._told(self._counted(message, now, outcome))

    async def overhear(self, message: Message) -> Outcome:
        """Accept a message that is not addressed to the bot if it belongs to one that is. Acknowledge it likewise."""
        now = self._clock.now()
        outcome = await self._store.run(accepting.overhear, message, self._limits, now)
        return self._told(self._counted(message, now, outcome))

    async def edit(self, edit: Edit) -> Outcome:
        """Accept what a person has made of their message. Acknowledge it likewise."""
        return self._told(await self._store.run(corrections.edit, edit, self._limits, self._clock.now()))

    async def delete(self, deletion: Deletion) -> Outcome:
        """Forget a message that its sender has deleted, and its answer. Acknowledge it likewise."""
        return self._told(await self._store.run(corrections.delete, deletion, self._clock.now()))

    def _counted(self, message: Message, begun: float, outcome: Outcome) -> Outcome:
        kind = outcome.notice.error if isinstance(outcome, Refused) else type(outcome).__name__.lower()
        self._measures.note_message(message.conversation.platform, kind)
        if isinstance(outcome, Accepted | Refused) and outcome.turn_id:
            self._tracing.note_admission(outcome.turn_id, message, begun, self._clock.now())
        return outcome

    def _told(self, outcome: Outcome) -> Outcome:
        """The outcome, once the worker knows of it."""
        is_work = isinstance(outcome, Accepted | Refused) and outcome.turn_id is not None  # a suppressed notice is none
        self._tell(outcome.interrupts if isinstance(outcome, Accepted) else (), is_work=is_work)
        return outcome

    def _tell(self, interrupts: Iterable[int], *, is_work: bool) -> None:
        """Have the worker interrupt some turns, and look for work if there is any."""
        for turn_id in interrupts:
            self._workforce.interrupt(turn_id)
        if is_work:
            self._workforce.notify()

    async def allows(self, person: Person, place: ConversationKey) -> bool:
        """Whether this person may write in this place. `accept` sends a notice to those who may not."""
        return await self._store.read(may_write, person, place, self._limits)

    @property
    def help_desk(self) -> ConversationKey | None:
        """The place where people work who take conversations over."""
        return self._limits.help_desk.place if self._limits.help_desk else None

    async def greet(self, opening: Message, words: Words | None = None) -> None:
        """Greet a place, as if its person had typed the `opening`, with some words or by the command that it is.

        A group is greeted only if it is open to all, and a person only if they may write.
        """
        is_work = await self._store.run(greet, opening, words, self._limits, self._clock.now())
        self._tell((), is_work=is_work)

    async def language(self, person: Person) -> Locale:
        """The language of the bot's own words to a person who may talk to it."""
        row = await self._store.run(people.find_or_add, person)
        return row.languages.own_words(self._limits.locale)

    async def takes_part(self, conversation: ConversationKey) -> bool:
        """Whether the bot was addressed in this conversation before, so that it answers without being mentioned."""
        return await self._store.read(history.has_taken_part, conversation)

    async def has_accepted(self, conversation: ConversationKey, reference: str) -> bool:
        """Whether a message with this reference was accepted in this conversation."""
        return await self._store.read(history.has_accepted, conversation, reference)

    async def transcript(self, conversation: ConversationKey, person: Person, limit: int) -> tuple[Shown, ...]:
        """The latest turns of a person in a conversation, oldest first."""
        return await self._store.read(transcripts.latest, conversation, person, limit)

    async def turn(self, turn_id: int) -> Claim | None:
        """A turn as it is now; None if there is none any more."""
        return await self._store.read(transcripts.one, turn_id)

    async def turn_of(self, event_keys: Sequence[str]) -> int | None:
        """The turn of a message that was accepted with one of these keys; None if it has none."""
        return await self._store.read(events.turn_of, event_keys)

    async def key(self, presented: str) -> Key | None:
        """The key that a program presents; None if it is unknown or revoked."""
        return await self._store.run(find_key, presented, self._clock.now())

    async def secret(self, purpose: str) -> bytes:
        """A key of this installation, another one for each purpose."""
        return hmac.digest(await self._store.read(installation.key), purpose.encode(), "sha256")

    async def move(self, old: ConversationKey, new: ConversationKey) -> None:
        """Move history and open turns to the conversation's new key. Idempotent."""
        await self._store.run(turns.move, old, new)

    async def press(self, action: Action, press: Press) -> Receipt:
        """Do what a button does. Acknowledge the press after this returns, and not if it raises StoreError."""
        receipt = await self._store.run(presses.carry_out, action, press, self._limits, self._clock.now())
        self._tell(receipt.interrupts, is_work=receipt.is_work)
        return receipt
