"""The lives of a gateway, which end by a kill or in peace, and what must hold after them on any platform.

Each crash point is tried with `SEEDS` seeds in each transport. `CRASH_SEEDS=60 make test-long
ARGS=tests/bots/telegram/test_crashes.py` tries 60, and 480 crashes of a recovery.
"""

import asyncio
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from pathlib import Path
from typing import Generic, TypeVar

from core.i18n import LOCALES, say
from tests.bots.gateway import Note, Plan, saved_handles, whole_answer
from tests.faults.fork_server import ForkServer

Id = TypeVar("Id")
"""What identifies a message on the platform."""

SEEDS = int(os.environ.get("CRASH_SEEDS", "4"))
STEPS = (
    *("accept uncommitted", "accept committed", "claim_waiting uncommitted", "claim_waiting committed"),
    *("find_or_add uncommitted", "set_handle uncommitted", "set_handle committed"),
    *("finish uncommitted", "finish committed", "mark_delivered uncommitted", "mark_delivered committed"),
)
"""Where the gateway kills itself: after a verb of the store has run, or after its commit."""
GIVEN_UP = {say(locale, "apology.died_twice") for locale in LOCALES}
"""What a person is told if the bot died of their question twice."""


class Lives(ABC, Generic[Id]):
    """A bot that is asked some `words`, one life after the other."""

    def __init__(self, *, words: Sequence[str], plan: Plan, fork_server: ForkServer, log: Path) -> None:
        self.words = words
        self.plan = plan
        self._fork_server = fork_server
        self._log = log
        self._unsaved: set[Id] = set()

    @abstractmethod
    async def until_settled(self) -> None:
        """Wait until all words are answered or given up."""

    @abstractmethod
    async def unsaved(self, handles: Sequence[str]) -> AbstractSet[Id]:
        """The messages on the platform that no handle names, and that are not looked up there either."""

    async def start(self, point: str = "", hit: int = 1, *, late: float = 0.0) -> int:
        """Begin a life. Returns the process id."""
        return await self._fork_server.start(replace(self.plan, point=point, hit=hit, late=late), self._log)

    async def until_killed(self, pid: int) -> None:
        """Wait for the end of a life by SIGKILL."""
        assert await self._fork_server.wait(pid) == -signal.SIGKILL, self._log.read_text()
        await self._note_unsaved()

    async def live(self, point: str = "") -> None:
        """A life until all questions are answered, or until it comes to a step at which it is killed."""
        pid = await self.start(point)
        dead = asyncio.create_task(self._fork_server.wait(pid))
        settled = asyncio.create_task(self.until_settled())
        await asyncio.wait({dead, settled}, return_when=asyncio.FIRST_COMPLETED)
        if not dead.done():
            os.kill(pid, signal.SIGTERM)
        settled.cancel()
        if (await dead) == -signal.SIGKILL and point:
            await self._note_unsaved()
        else:
            assert await dead == 0, self._log.read_text()

    def check_shown(
        self,
        record_property: Note,
        *,
        messages: AbstractSet[Id],
        apologies: AbstractSet[Id],
        answers: Mapping[str, Mapping[Id, str]],
        given_up: int,
    ) -> list[str]:
        """Check that each word is answered once, but for as many as may be given up. Returns the answered words.

        The only messages left behind without an answer are those whose ids were not kept at a kill.
        """
        answered = [word for word in self.words if answers[word]]
        orphans = messages - apologies - {message for parts in answers.values() for message in parts}
        record_property("messages", len(self.words))
        record_property("orphans", len(orphans))
        assert len(self.words) - len(answered) == len(apologies) <= given_up
        assert ["\n".join(answers[word].values()) for word in answered] == [whole_answer(word) for word in answered]
        assert orphans <= self._unsaved
        return answered

    async def _note_unsaved(self) -> None:
        """Note the messages whose ids were not kept at a kill: at most one of each turn."""
        handles, exposed = await saved_handles(self.plan.database)
        new = await self._settled(handles) - self._unsaved
        assert len(new) <= exposed
        self._unsaved |= new

    async def _settled(self, handles: Sequence[str]) -> AbstractSet[Id]:
        """What is unsaved once the platform has read what the dead process sent last: when two looks agree."""
        before, now = None, await self.unsaved(handles)
        while before != now:
            before, now = now, await self.unsaved(handles)
        return now
