"""A fake chat platform on a loopback socket, and the journal of the messages that people saw.

Its guarantees are as weak as those of the real ones: events are repeated until they are acknowledged, a post is not
idempotent and cannot be undone, and only edits are idempotent. The protocol is one JSON object per line.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A message of a person. If `again` is not empty, the event is delivered a second time under these keys."""

    id: str
    keys: tuple[str, ...]
    person: str
    chat: str
    text: str
    again: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Shown:
    """A message of the bot. `about` names the event, and the part of its answer if there are several; `finals` are the
    final texts it was given, in order; `of` is the number of parts.
    """

    about: str
    chat: str
    finals: list[str] = field(default_factory=list)
    of: int = 1


@dataclass(slots=True, kw_only=True)
class Journal:
    """Acknowledgements by event, and the bot's messages by id."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    declined: Counter[str] = field(default_factory=Counter)
    messages: dict[str, Shown] = field(default_factory=dict)

    def answers(self, event_id: str) -> list[str]:
        """The current text of each message that holds the final answer to an event or to a part of it."""
        return [shown.finals[-1] for shown in self._finals(event_id)]

    def parts(self, event_id: str) -> list[list[str]]:
        """The answers for each part; one part if their number is not known yet."""
        count = max((shown.of for shown in self._finals(event_id)), default=1)
        return [self.answers(part_of(event_id, number)) for number in range(count)]

    def orphans(self) -> set[str]:
        """Placeholders that never received a final text."""
        return {name for name, shown in self.messages.items() if not shown.finals}

    def _finals(self, about: str) -> list[Shown]:
        return [shown for shown in self.messages.values() if shown.about == about and shown.finals]


class Platform:
    """Sends events in order to every connected gateway, at most `ahead` of them unanswered."""

    def __init__(self, events: Sequence[Event], ahead: int) -> None:
        self.journal = Journal()
        self.port = 0
        self.connections = 0
        self._events = list(events)
        self._ahead = ahead
        self._offered: list[Event] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._activity = asyncio.Event()

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._offer_more()

    def offer_again(self) -> None:
        """Send the unacknowledged events again."""
        for event in self._offered:
            if not self.journal.acknowledged[event.id]:
                self._offer(event)

    async def until_answered(self, connections: int = 0, *, lost: str = "") -> None:
        """Wait for `connections` and until each event is acknowledged and, except for `lost`, answered."""
        while self.connections < connections or not self._is_answered(lost):
            await self.until_activity()

    async def until_connected(self, gateways: int) -> None:
        """Wait until at most this number of gateways is connected: all requests of the others are in the journal."""
        while len(self._writers) > gateways:
            await self.until_activity()

    async def until_activity(self) -> None:
        """Wait for the next request, connection or disconnection of a gateway."""
        self._activity.clear()
        await self._activity.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one gateway until it disconnects."""
        self._writers.add(writer)
        self.connections += 1
        self._activity.set()
        self.offer_again()
        self._offer_more()
        try:
            async for line in reader:
                said = json.loads(line)
                getattr(self, f"_{said.pop('do')}")(writer, **said)
                self._offer_more()
                self._activity.set()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            self._activity.set()
            writer.close()

    def _is_answered(self, lost: str) -> bool:
        acknowledged, parts = self.journal.acknowledged, self.journal.parts
        return all(acknowledged[one.id] and (all(parts(one.id)) or one.id == lost) for one in self._events)

    def _ack(self, _writer: asyncio.StreamWriter, event: str) -> None:
        self.journal.acknowledged[event] += 1

    def _decline(self, _writer: asyncio.StreamWriter, event: str) -> None:
        """The gateway could not store the event. `offer_again` repeats it."""
        self.journal.declined[event] += 1

    def _post(self, writer: asyncio.StreamWriter, request: int, about: str, chat: str, text: str, of: int) -> None:
        name = f"m{len(self.journal.messages) + 1}"
        self.journal.messages[name] = Shown(about=about, chat=chat, finals=[text] if text else [], of=of)
        _send(writer, request=request, message=name)

    def _edit(self, writer: asyncio.StreamWriter, request: int, message: str, text: str, of: int) -> None:
        shown = self.journal.messages[message]
        shown.finals.append(text)
        shown.of = of
        _send(writer, request=request, message=message)

    def _offer_more(self) -> None:
        if not self._writers:
            return
        open_ = sum(not all(self.journal.parts(event.id)) for event in self._offered)
        for event in self._events[len(self._offered) :][: max(0, self._ahead - open_)]:
            self._offered.append(event)
            self._offer(event)

    def _offer(self, event: Event) -> None:
        for writer in self._writers:
            for keys in filter(None, (event.keys, event.again)):
                _send(writer, event=event.id, keys=keys, person=event.person, chat=event.chat, text=event.text)


@asynccontextmanager
async def open_platform(events: Sequence[Event] = (), *, ahead: int = 1_000) -> AsyncIterator[Platform]:
    platform = Platform(events, ahead)
    server = await asyncio.start_server(platform.serve, "127.0.0.1", 0, limit=1 << 24)
    platform.port = server.sockets[0].getsockname()[1]
    async with server:
        yield platform


def part_of(event: str, number: int) -> str:
    """The name of a part of the answer to an event; the first part has the event's own."""
    return f"{event}, part {number + 1}" if number else event


def _send(writer: asyncio.StreamWriter, **values: object) -> None:
    if not writer.is_closing():
        writer.write(json.dumps(values).encode() + b"\n")
