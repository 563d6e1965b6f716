"""The gateway's adapter for the fake platform, and its connection to it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import uuid4

from core.admission import Admission
from core.delivery import Claim
from core.errors import StoreError
from core.messages import ConversationKey, Message, Person, Reply
from tests.faults.crash_points import CrashPoint
from tests.faults.platform import part_of

PLATFORM, WORKSPACE = "fake", "w"
FRONT = f"{PLATFORM}/{WORKSPACE}"
THIRD = 3
NEXT_PART = "\n---\n"
"""Separates the parts of an answer. Each part is posted as a message of its own."""


class Link:
    """One connection that carries requests, their answers, and events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._reader = reader
        self._writer = writer
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[str]] = {}

    async def listen(self) -> None:
        async for line in self._reader:
            said = json.loads(line)
            if "event" in said:
                self.events.put_nowait(said)
            else:
                self._waiting.pop(said["request"]).set_result(said["message"])
        self.events.put_nowait(None)

    async def tell(self, **values: object) -> None:
        self._writer.write(json.dumps(values).encode() + b"\n")
        await self._writer.drain()

    async def ask(self, **values: object) -> asyncio.Future[str]:
        """Send a request. The future resolves to the message id in the platform's answer."""
        number = next(self._numbers)
        self._waiting[number] = asyncio.get_running_loop().create_future()
        await self.tell(request=number, **values)
        return self._waiting[number]


@asynccontextmanager
async def open_link(port: int) -> AsyncIterator[Link]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    link = Link(reader, writer)
    listening = asyncio.create_task(link.listen())
    try:
        yield link
    finally:
        listening.cancel()
        writer.close()


class Front:
    """Commits before it acknowledges, posts once and repeats only edits. `without` switches one of these guards off."""

    def __init__(self, link: Link, crash_point: CrashPoint, without: str) -> None:
        self._link = link
        self._crash_point = crash_point
        self._without = without
        self._pieces: dict[int, int] = {}

    async def serve(self, admission: Admission) -> None:
        """Accept events until the platform closes the connection."""
        while said := await self._link.events.get():
            self._crash_point.reach("received")
            if self._without == "commit before ack":
                await self._acknowledge(said)
            try:
                await admission.accept(self._message(said))
            except StoreError:
                await self._link.tell(do="decline", event=said["event"])
                continue
            await self._acknowledge(said)

    async def begin(self, claim: Claim) -> str:
        return "" if self._without == "edit" else await self._placeholder(claim, ())

    async def preview(self, claim: Claim, piece: str) -> None:
        self._pieces[claim.id] = self._pieces.get(claim.id, 0) + 1
        if self._pieces[claim.id] in {1, THIRD}:
            self._crash_point.reach("first piece" if self._pieces[claim.id] == 1 else "third piece")

    async def finish(self, claim: Claim, reply: Reply) -> str:
        known, parts = tuple(filter(None, claim.handle.split(","))), reply.text.split(NEXT_PART)
        if self._without == "edit":
            for number, part in enumerate(parts):
                await self._post(claim, number, part, of=len(parts))
            self._crash_point.reach("edited")
            return claim.handle
        if len(known) < len(parts):
            handle = await self._placeholder(claim, known)
            return handle if self._without != "parts kept" else await self.finish(replace(claim, handle=handle), reply)
        for message, part in zip(known, parts, strict=True):
            done = await self._link.ask(do="edit", message=message, text=part, of=len(parts))
            self._crash_point.reach("edit sent")
            await done
            self._crash_point.reach("edited")
        return ",".join(known)

    async def open_thread(self, _claim: Claim) -> str:
        raise AssertionError

    async def withdraw(self, claim: Claim) -> None:
        """Do nothing: nobody withdraws a question here."""

    async def drop(self, claim: Claim) -> None:
        """Do nothing: previews are not shown."""

    async def _placeholder(self, claim: Claim, known: tuple[str, ...]) -> str:
        self._crash_point.reach("before placeholder")
        return ",".join([*known, await self._post(claim, len(known), "")])

    async def _post(self, claim: Claim, number: int, text: str, *, of: int = 1) -> str:
        about = part_of(_about(claim), number)
        done = await self._link.ask(do="post", about=about, chat=claim.message.conversation.chat, text=text, of=of)
        self._crash_point.reach("placeholder sent")
        message = await done
        self._crash_point.reach("placeholder shown")
        return message

    async def _acknowledge(self, said: dict[str, Any]) -> None:
        await self._link.tell(do="ack", event=said["event"])
        self._crash_point.reach("acknowledged")

    def _message(self, said: dict[str, Any]) -> Message:
        keys = (uuid4().hex,) if self._without == "event keys" else tuple(map(str, said["keys"]))
        return Message(
            event_keys=keys,
            conversation=ConversationKey(platform=PLATFORM, workspace=WORKSPACE, chat=str(said["chat"])),
            sender=Person(platform=PLATFORM, workspace=WORKSPACE, id=str(said["person"])),
            text=str(said["text"]),
            sent_at=0.0,
        )


def _about(claim: Claim) -> str:
    """The id of the turn's event: the chat's name if it starts with "only", else the first word of the text. A text
    that was refused for its size is not stored; then the id is that size, taken from the notice.
    """
    if claim.message.conversation.chat.startswith("only "):
        return claim.message.conversation.chat
    if claim.message.text:
        return claim.message.text.split()[0]
    size = re.search(r"(\d+) (bytes|字节)", claim.reply.text) if claim.reply else None
    return f"{size[1]}-bytes" if size else "?"
