"""The lives and deaths of gateways, and the verdict over what was shown and kept."""

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
from tests.faults.gateway import MAX_BYTES, Plan
from tests.faults.link import PLATFORM, WORKSPACE
from tests.faults.nursery import Nursery
from tests.faults.platform import Event, Platform, open_platform

SORRY = ("died_twice", "engine_lost", "engine_unavailable", "engine_stalled", "empty_reply", "unexpected", "store")
APOLOGIES = {say(locale, f"apology.{name}") for locale in LOCALES for name in SORRY}
STAND_IN = (sys.executable, "-I", str(Path(__file__).with_name("stand_in.py")))
"""A model server that is ready in milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What went wrong, by event; the placeholders left behind; and what was met with an apology."""

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
class Rig:
    """One platform, one database, and gateways one after the other, or two at once."""

    platform: Platform
    nursery: Nursery
    folder: Path
    pids: list[int] = field(default_factory=list)
    unkept: set[str] = field(default_factory=set)

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder}/faults.db"

    @property
    def log(self) -> Path:
        return self.folder / "gateways.log"

    def plan(self, **options: Any) -> Plan:  # noqa: ANN401  the fields of Plan
        return Plan(port=self.platform.port, database=self.database, **options)

    async def start(self, plan: Plan) -> int:
        self.pids.append(await self.nursery.start(plan, self.log))
        return self.pids[-1]

    async def wait(self, pid: int) -> int:
        code = await self.nursery.wait(pid)
        if code != -signal.SIGSTOP:
            self.pids.remove(pid)
        return code

    async def until_end(self, plan: Plan, code: int = -signal.SIGKILL) -> None:
        """Run a gateway until it ends by itself."""
        found = await self.wait(await self.start(plan))
        assert found == code, self.log.read_text()
        await self._take_stock()

    async def until_settled(self, plan: Plan, *, lost: str = "") -> None:
        """Run a gateway until every event is answered, and end it in order; or until it dies of itself."""
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
        await self._take_stock()

    async def _take_stock(self) -> None:
        """Note the messages whose ids did not reach the database."""
        await self.platform.until_left_by_all_but(len(self.pids))
        handles = await self._handles()
        self.unkept |= set(self.platform.journal.messages) - handles

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
        """The conversations whose history is not each answered message once, in the order they were written."""
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
async def open_rig(
    nursery: Nursery, folder: Path, events: Sequence[Event] = (), *, ahead: int = 1_000
) -> AsyncIterator[Rig]:
    async with open_platform(events, ahead=ahead) as platform:
        rig = Rig(platform=platform, nursery=nursery, folder=folder)
        try:
            yield rig
        finally:
            for pid in tuple(rig.pids):
                os.kill(pid, signal.SIGKILL)
                await nursery.wait(pid)
