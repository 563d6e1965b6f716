"""Runs and crashes gateways, and judges what people were shown and what the store holds."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from core.i18n import LOCALES, say
from core.messages import ConversationKey, Person
from core.store import history, open_store
from core.store.schema import turns
from tests.faults.fork_server import ForkServer
from tests.faults.gateway import MAX_BYTES, Plan
from tests.faults.link import PLATFORM, WORKSPACE
from tests.faults.platform import Event, Platform, open_platform

APOLOGY_NAMES = (
    "died_twice",
    "engine_lost",
    "engine_unavailable",
    "engine_stalled",
    "empty_reply",
    "unexpected",
    "store",
)
APOLOGIES = {say(locale, f"apology.{name}") for locale in LOCALES for name in APOLOGY_NAMES}
FAKE_MODEL_SERVER = (sys.executable, "-I", str(Path(__file__).with_name("fake_model_server.py")))
"""The command of a model server that is ready in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The events or conversations with each kind of fault, the orphaned placeholders, and the events answered with an
    apology.
    """

    lost: list[str]
    doubled: list[str]
    unacknowledged: list[str]
    misremembered: list[str]
    orphans: set[str]
    apologies: list[str]

    @property
    def good(self) -> bool:
        return not (self.lost or self.doubled or self.unacknowledged or self.misremembered)


@dataclass(slots=True, kw_only=True)
class Harness:
    """One platform, one database, and the gateways that run on them. `unsaved` are the messages whose ids were not in
    the database when a gateway ended.
    """

    platform: Platform
    fork_server: ForkServer
    folder: Path
    database: str
    pids: list[int] = field(default_factory=list)
    unsaved: set[str] = field(default_factory=set)

    @property
    def log(self) -> Path:
        return self.folder / "gateways.log"

    def plan(self, **options: Any) -> Plan:  # noqa: ANN401  the fields of Plan
        return Plan(port=self.platform.port, **{"database": self.database, **options})

    async def start(self, plan: Plan) -> int:
        self.pids.append(await self.fork_server.start(plan, self.log))
        return self.pids[-1]

    async def wait(self, pid: int) -> int:
        code = await self.fork_server.wait(pid)
        if code != -signal.SIGSTOP:
            self.pids.remove(pid)
        return code

    async def run_until_exit(self, plan: Plan, code: int = -signal.SIGKILL) -> None:
        """Run a gateway until it exits by itself with `code`."""
        found = await self.wait(await self.start(plan))
        assert found == code, self.log.read_text()
        await self._note_unsaved()

    async def run_until_answered(self, plan: Plan, *, lost: str = "") -> None:
        """Run a gateway until every event is answered and then shut it down, or until it crashes at its point."""
        connections = self.platform.connections + 1
        pid = await self.start(plan)
        dead = asyncio.create_task(self.wait(pid))
        answered = asyncio.create_task(self.platform.until_answered(connections, lost=lost))
        await asyncio.wait({dead, answered}, return_when=asyncio.FIRST_COMPLETED)
        if not dead.done():
            os.kill(pid, signal.SIGTERM)
        answered.cancel()
        code = await dead
        assert code == 0 or (plan.point and code == plan.signal * -1), self.log.read_text()
        await self._note_unsaved()

    async def _note_unsaved(self) -> None:
        """Add the messages whose ids are not in the database to `unsaved`."""
        await self.platform.until_connected(len(self.pids))
        handles = await self._handles()
        self.unsaved |= set(self.platform.journal.messages) - handles

    async def verdict(self, events: Sequence[Event]) -> Verdict:
        journal = self.platform.journal
        answers = {event.id: journal.parts(event.id) for event in events}
        apologies = [name for name, parts in answers.items() if APOLOGIES & set(parts[0])]
        return Verdict(
            lost=[name for name, parts in answers.items() if not all(parts)],
            doubled=[name for name, parts in answers.items() if any(len(texts) > 1 for texts in parts)],
            unacknowledged=[event.id for event in events if not journal.acknowledged[event.id]],
            misremembered=await self._misremembered(events, apologies),
            orphans=journal.orphans(),
            apologies=apologies,
        )

    async def _misremembered(self, events: Sequence[Event], apologies: Sequence[str]) -> list[str]:
        """Conversations whose history does not hold each answered message exactly once and in order."""
        said: dict[tuple[str, str], list[str]] = {}
        for one in events:
            if len(one.text) <= MAX_BYTES and one.id not in apologies:
                said.setdefault((one.chat, one.person), []).append(one.text)
        wrong = []
        async with open_store(self.database) as store:
            for (chat, person), texts in said.items():
                conversation = ConversationKey(platform=PLATFORM, workspace=WORKSPACE, chat=chat)
                who = Person(platform=PLATFORM, workspace=WORKSPACE, id=person)
                kept = await store.run(history.load, conversation, who)
                if [exchange.question for exchange in kept] != texts:
                    wrong.append(f"{chat}/{person}")
        return wrong

    async def _handles(self) -> set[str]:
        async with open_store(self.database) as store:
            handles = await store.run(lambda connection: connection.scalars(sa.select(turns.c.handle)).all())
        return {message for handle in handles for message in handle.split(",")}


@asynccontextmanager
async def open_harness(
    fork_server: ForkServer, folder: Path, events: Sequence[Event] = (), *, ahead: int = 1_000, database: str = ""
) -> AsyncIterator[Harness]:
    """A harness whose gateways share a database: the one of a URL, or a file in the folder."""
    url = database or f"sqlite:///{folder}/faults.db"
    async with open_platform(events, ahead=ahead) as platform:
        harness = Harness(platform=platform, fork_server=fork_server, folder=folder, database=url)
        try:
            yield harness
        finally:
            for pid in tuple(harness.pids):
                os.kill(pid, signal.SIGKILL)
                await fork_server.wait(pid)
