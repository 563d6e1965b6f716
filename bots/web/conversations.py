"""A person's conversation on the web: what they do is admitted, and what becomes of it is followed."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from uuid import uuid4

from bots.web.buttons import BUTTONS
from bots.web.live import Begun, Event, Listener, Live, Replied, Withdrawn, Written, now
from bots.web.visitors import conversation_of
from core.accepting import Accepted, Refused
from core.admission import Admission
from core.buttons import Press, Receipt
from core.clock import Clock
from core.errors import NotNow
from core.messages import Message, Person, Reply
from core.store.transcripts import Shown

SHOWN = 100
"""Turns of a transcript."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """A message that was admitted. `turn_id` is None if it became no turn; then `reply` may say why, and `retry_after`
    in how many seconds it may become one.

    `events` are all that happen in the conversation since it was asked.
    """

    turn_id: int | None
    events: Listener
    reply: Reply | None = None
    retry_after: float | None = None


class Conversations:
    """What the HTTP interface can do for a person."""

    def __init__(self, admission: Admission, live: Live, clock: Clock) -> None:
        self._admission = admission
        self._live = live
        self._clock = clock

    async def ask(self, person: Person, text: str, key: str) -> Following:
        """Admit a message; one with the same key again is the same message. Raises StoreError."""
        listener = self._live.listen(conversation_of(person))
        event_keys = (_event_key(person, key),)
        message = Message(
            event_keys=event_keys,
            conversation=conversation_of(person),
            sender=person,
            text=text,
            sent_at=self._clock.now(),
        )
        match await self._admission.accept(message):
            case Accepted(turn_id=turn_id):
                return Following(turn_id=turn_id, events=listener)
            case Refused(turn_id=None, notice=notice, error=error):
                wait = error.retry_after if isinstance(error, NotNow) else None
                return Following(turn_id=None, events=listener, reply=notice, retry_after=wait)
            case Refused(turn_id=turn_id):
                return Following(turn_id=turn_id, events=listener)
            case _:
                return Following(turn_id=await self._admission.turn_of(event_keys), events=listener)

    async def follow(self, person: Person, following: Following) -> AsyncGenerator[Event]:
        """What becomes of the message, until its turn is done. It is looked up first, and again after a gap."""
        events, turn_id = following.events, following.turn_id
        while turn_id and not self._live.is_closed:
            found = now(turn_id, await self._admission.turn(turn_id))
            if is_last(found):
                yield found
                return
            if written := self.written(turn_id):
                yield Written(turn_id=turn_id, at=0, piece=written)
            while event := await events.next():
                if turn_of(event) == turn_id:
                    yield event
                    if is_last(event):
                        return
            events = self._live.listen(conversation_of(person))

    async def watch(self, person: Person) -> tuple[tuple[Shown, ...], Listener]:
        """The transcript, and all that happens from then on."""
        listener = self._live.listen(conversation_of(person))
        return await self.transcript(person), listener

    async def transcript(self, person: Person) -> tuple[Shown, ...]:
        return await self._admission.transcript(conversation_of(person), person, SHOWN)

    async def press(self, person: Person, turn_id: int, button: str, key: str) -> Receipt:
        """Press a button of the registry. Raises KeyError if there is none of that name, and StoreError."""
        press = Press(
            event_keys=(_event_key(person, key),),
            person=person,
            conversation=conversation_of(person),
            turn_id=turn_id,
        )
        return await self._admission.press(BUTTONS[button], press)

    def written(self, turn_id: int) -> str:
        """What is written of a turn's reply so far."""
        return self._live.written(turn_id)


def is_last(event: Event) -> bool:
    return isinstance(event, Replied | Withdrawn)


def turn_of(event: Event) -> int:
    return event.claim.id if isinstance(event, Begun | Replied) else event.turn_id


def _event_key(person: Person, key: str) -> str:
    return f"web:{person.id}:{key or uuid4()}"
