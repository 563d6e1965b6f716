"""A chat platform on a loopback socket, and its journal: the one witness of what people were shown.

It is as unhelpful as the real ones: events come again until they are acknowledged, a post cannot be taken back or
recognised when it is repeated, and only an edit may be repeated freely. One JSON object a line.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Somebody wrote something. `again` are the keys under which the same gesture comes a second time, if it does."""

    id: str
    keys: tuple[str, ...]
    person: str
    chat: str
    text: str
    again: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Shown:
    """A message of the bot: the event, or part of its answer, that it is about, the final texts put into it, and of
    how many parts the answer is.
    """

    about: str
    chat: str
    finals: list[str] = field(default_factory=list)
    of: int = 1


@dataclass(slots=True, kw_only=True)
class Journal:
    """All that happened, by event and by message."""

    acknowledged: Counter[str] = field(default_factory=Counter)
    declined: Counter[str] = field(default_factory=Counter)
    messages: dict[str, Shown] = field(default_factory=dict)

    def answers(self, event_id: str) -> list[str]:
        """The last text of each message that carries a final answer to an event, or its first part."""
        return [shown.finals[-1] for shown in self._finals(event_id)]

    def parts(self, event_id: str) -> list[list[str]]:
        """The same for each part of the answer, as far as its parts are known."""
        count = max((shown.of for shown in self._finals(event_id)), default=1)
        return [self.answers(part_of(event_id, number)) for number in range(count)]

    def orphans(self) -> set[str]:
        """The messages that nothing final was ever put into."""
        return {name for name, shown in self.messages.items() if not shown.finals}

    def _finals(self, about: str) -> list[Shown]:
        return [shown for shown in self.messages.values() if shown.about == about and shown.finals]


class Platform:
    """Offers events in order, `ahead` of them before the first is answered, to whoever is connected."""

    def __init__(self, events: Sequence[Event], ahead: int) -> None:
        self.journal = Journal()
        self.port = 0
        self.connections = 0
        self._events = list(events)
        self._ahead = ahead
        self._offered: list[Event] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Event()

    def add(self, event: Event) -> None:
        self._events.append(event)
        self._offer_more()

    def offer_again(self) -> None:
        """Send what is not acknowledged once more."""
        for event in self._offered:
            if not self.journal.acknowledged[event.id]:
                self._offer(event)

    async def until_answered(self, connections: int = 0, *, lost: str = "") -> None:
        """Until there were so many connections, and every event is acknowledged and, but for `lost`, answered."""
        while self.connections < connections or not self._is_settled(lost):
            await self.until_news()

    async def until_left_by_all_but(self, gateways: int) -> None:
        """Until all that those who left have said is in the journal."""
        while len(self._writers) > gateways:
            await self.until_news()

    async def until_news(self) -> None:
        """Wait until the bot does something."""
        self._news.clear()
        await self._news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One gateway, until it is gone."""
        self._writers.add(writer)
        self.connections += 1
        self._news.set()
        self.offer_again()
        self._offer_more()
        try:
            async for line in reader:
                said = json.loads(line)
                getattr(self, f"_{said.pop('do')}")(writer, **said)
                self._offer_more()
                self._news.set()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            self._news.set()
            writer.close()

    def _is_settled(self, lost: str) -> bool:
        acknowledged, parts = self.journal.acknowledged, self.journal.parts
        return all(acknowledged[one.id] and (all(parts(one.id)) or one.id == lost) for one in self._events)

    def _ack(self, _writer: asyncio.StreamWriter, event: str) -> None:
        self.journal.acknowledged[event] += 1

    def _decline(self, _writer: asyncio.StreamWriter, event: str) -> None:
        """The gateway cannot keep it now. It will come again when somebody says so."""
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
    """What a part of the answer to an event is called; the first has its name."""
    return f"{event}, part {number + 1}" if number else event


def _send(writer: asyncio.StreamWriter, **values: object) -> None:
    if not writer.is_closing():
        writer.write(json.dumps(values).encode() + b"\n")
