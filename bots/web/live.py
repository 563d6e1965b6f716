"""What happens to the turns of the web front end, told to those who look on while it happens.

Nothing is posted anywhere: the store holds the reply, and whoever asks for it again finds it there.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias
from weakref import WeakSet

from core.delivery import Claim
from core.errors import DeliveryRejected
from core.messages import WITHDRAWN, ConversationKey, Reply
from core.scopes import scope
from core.store.notices import Notice

BEHIND = 1_000
"""Events that a listener may be behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The reply to a turn is being written, from its beginning."""

    claim: Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One more piece of a reply. It begins at a character, and replaces all that came after that."""

    turn_id: int
    at: int
    piece: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replied:
    """The whole reply to a turn."""

    claim: Claim
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A turn of which nothing is shown any more."""

    turn_id: int


Event: TypeAlias = Begun | Written | Replied | Withdrawn


class Listener:
    """The events of one conversation, for one who looks on as long as this object lives."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(BEHIND + 1)
        self._is_over = False

    def tell(self, event: Event) -> None:
        """Add an event, or end with a gap if too many wait."""
        if self._events.qsize() >= BEHIND:
            self.end()
        if not self._is_over:
            self._events.put_nowait(event)

    def end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._events.put_nowait(None)

    async def next(self) -> Event | None:
        """The next event; None if there is none any more, because the listener was too slow or the bot stops."""
        return await self._events.get()


class Live:
    """A `Delivery` that tells listeners, by the scopes of their conversations, and knows what is written so far."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, WeakSet[Listener]] = defaultdict(WeakSet)
        self._written: dict[int, str] = {}
        self.is_closed = False

    def listen(self, conversation: ConversationKey) -> Listener:
        """A listener to a conversation from now on."""
        for known in [key for key, listeners in self._listeners.items() if not listeners]:
            del self._listeners[known]
        listener = Listener()
        self._listeners[scope(str(conversation))].add(listener)
        return listener

    def written(self, turn_id: int) -> str:
        """What is written of a reply so far; empty if it is not being written."""
        return self._written.get(turn_id, "")

    def close(self) -> None:
        """End all listeners, since the bot stops."""
        self.is_closed = True
        self._end_all()

    async def look(self, notice: Notice, find: Callable[[int], Awaitable[Claim | None]]) -> None:
        """Tell what another gateway has shown of a turn, which is looked up if anybody listens. If notices were missed,
        all listeners end with a gap.
        """
        if not notice.turn_id:
            self._end_all()
        elif listeners := self._listeners.get(notice.place):
            event = now(notice.turn_id, await find(notice.turn_id))
            for listener in listeners:
                listener.tell(event)

    def _end_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.end()

    async def begin(self, claim: Claim) -> str:
        self._written[claim.id] = ""
        self._tell(claim, Begun(claim=claim))
        return ""

    async def preview(self, claim: Claim, piece: str) -> None:
        before = self.written(claim.id)
        self._written[claim.id] = before + piece
        self._tell(claim, Written(turn_id=claim.id, at=len(before), piece=piece))

    async def finish(self, claim: Claim, reply: Reply) -> str:
        self._written.pop(claim.id, None)
        self._tell(claim, Replied(claim=claim, reply=reply))
        return claim.handle

    async def withdraw(self, claim: Claim) -> None:
        self._written.pop(claim.id, None)
        self._tell(claim, Withdrawn(turn_id=claim.id))

    async def drop(self, claim: Claim) -> None:
        self._written.pop(claim.id, None)

    async def open_thread(self, claim: Claim) -> str:
        """Nobody takes conversations over on a web page."""
        raise DeliveryRejected(f"no threads for turn {claim.id}")

    def _tell(self, claim: Claim, event: Event) -> None:
        for listener in self._listeners.get(scope(str(claim.message.conversation)), ()):
            listener.tell(event)


def now(turn_id: int, claim: Claim | None) -> Event:
    """What a turn is now, as an event."""
    if claim is None or claim.reply == WITHDRAWN:
        return Withdrawn(turn_id=turn_id)
    return Replied(claim=claim, reply=claim.reply) if claim.reply else Begun(claim=claim)
