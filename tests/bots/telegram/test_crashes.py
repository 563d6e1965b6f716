"""kill -9 at every step of answering a message on Telegram, by polling and by webhook."""

import asyncio
import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bots.telegram.handle import Handle
from bots.telegram.opening import MORE
from core.i18n import LOCALES, say
from core.messages import ConversationKey, Person
from core.store import history, open_store
from tests.bots.gateway import Note, Plan, free_port, saved_handles, whole_answer
from tests.bots.seeds import SEEDS
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry
from tests.faults.fork_server import ForkServer

STEPS = (
    *("accept uncommitted", "accept committed", "claim_waiting uncommitted", "claim_waiting committed"),
    *("find_or_add uncommitted", "set_handle uncommitted", "set_handle committed"),
    *("finish uncommitted", "finish committed", "mark_delivered uncommitted", "mark_delivered committed"),
)
"""Where the gateway kills itself: after a verb of the store has run, or after its commit."""
CALLS = ("sendMessage silence", "sendMessage mute", "editMessageText silence", "editMessageText mute")
PREVIEWS = ("sendMessageDraft mute", "sendChatAction silence")
"""Where it is killed while Telegram does not answer a call, which had no effect (silence) or took effect (mute)."""
GIVEN_UP = {say(locale, "apology.died_twice") for locale in LOCALES}
ROOM = -100
MODES = ("polling", "webhook")
LIVES = [
    pytest.param(point, mode, seed, marks=() if (number % 2, 0) == (way, seed) else pytest.mark.long)
    for number, point in enumerate((*STEPS, *CALLS, *PREVIEWS))
    for way, mode in enumerate(MODES)
    for seed in range(SEEDS)
]
"""Each point runs once, by alternating transports; the others take minutes."""


def answer(journal: list[Entry], word: str) -> dict[tuple[int, int], str]:
    """The messages that hold the reply to a question, in order, without those that hold its beginning only."""
    found = {(e["chat"], e["message"]): e["text"] for e in shown(journal) if e["text"].startswith(f"you said {word} ")}
    return {place: text for place, text in sorted(found.items()) if not text.endswith(MORE)}


def messages(journal: list[Entry]) -> set[tuple[int, int]]:
    return {(entry["chat"], entry["message"]) for entry in shown(journal)}


def apologies(journal: list[Entry]) -> set[tuple[int, int]]:
    """The messages that say that a question was given up, because the bot died of it twice."""
    return {(entry["chat"], entry["message"]) for entry in shown(journal) if entry["text"] in GIVEN_UP}


def is_settled(journal: list[Entry], words: list[str]) -> bool:
    open_ = [word for word in words if len("\n".join(answer(journal, word).values())) < len(whole_answer(word))]
    return len(open_) <= len(apologies(journal))


@pytest.mark.parametrize(("point", "mode", "seed"), LIVES)
async def test_every_message_is_answered_once(
    account: Account,
    fork_server: ForkServer,
    tmp_path: Path,
    record_property: Note,
    *,
    point: str,
    mode: str,
    seed: int,
) -> None:
    """After a kill and a restart the bot answers each message once, and remembers each exchange once."""
    chance = random.Random(f"{point} {mode} {seed}")
    case = Case(account=account, fork_server=fork_server, folder=tmp_path, mode=mode, chance=chance)
    await case.ask_all()
    await case.crash(point)
    await case.live()
    await case.check(record_property)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4 * SEEDS))
@pytest.mark.parametrize("mode", MODES)
async def test_a_crash_of_the_recovery_changes_nothing(
    account: Account, fork_server: ForkServer, tmp_path: Path, record_property: Note, *, mode: str, seed: int
) -> None:
    """The bot is killed again after its restart, at another step, if it comes to that.

    It gives up on the question that it was answering both times, and says so.
    """
    chance = random.Random(f"{mode} {seed}")
    case = Case(account=account, fork_server=fork_server, folder=tmp_path, mode=mode, chance=chance)
    first, second = chance.choice((*STEPS, *CALLS, *PREVIEWS)), chance.choice(STEPS)
    await case.ask_all()
    await case.crash(first)
    await case.live(second)
    await case.live()
    await case.check(record_property, given_up=1)


class Case:
    """A bot that is asked at random, and its lives, which end by a kill or in peace."""

    def __init__(
        self, *, account: Account, fork_server: ForkServer, folder: Path, mode: str, chance: random.Random
    ) -> None:
        self.words = [f"w{number}x{chance.choice((1, 9))}" for number in range(chance.randint(2, 5))]
        self._chats = [5, *(chance.choice((5, 6, ROOM)) for _ in self.words[1:])]
        self._chance = chance
        self._account = account
        self._fork_server = fork_server
        self._log = folder / "log"
        self._unsaved: set[tuple[int, int]] = set()
        port = free_port()
        settings = {"token": account.token, "base_url": account.base_url, "mode": mode}
        settings["webhook_url"] = f"http://127.0.0.1:{port}"
        database = f"sqlite:///{folder}/parley.db"
        self._plan = Plan(platform="telegram", settings=settings, port=port, database=database)

    async def ask_all(self) -> None:
        for word, chat in zip(self.words, self._chats, strict=True):
            await ask(self._account, word, chat)

    async def crash(self, point: str) -> None:
        """A life that is killed at a step, or while a call is not answered."""
        hit = self._chance.randint(1, len(self.words))
        if point in STEPS:
            pid = await self._start(point, hit)
        else:
            method, kind = point.split()
            skip = 0 if point in PREVIEWS else hit - 1
            await self._account.faults({"method": method, "kind": kind, "skip": skip, "times": 1000})
            pid = await self._start()
            await self._account.until(lambda journal: [entry for entry in journal if entry.get("fault") == kind])
            os.kill(pid, signal.SIGKILL)
        assert await self._fork_server.wait(pid) == -signal.SIGKILL, self._log.read_text()
        await self._note_unsaved()
        await self._account.faults()

    async def live(self, point: str = "") -> None:
        """A life until all questions are answered, or until it comes to a step at which it is killed."""
        pid = await self._start(point)
        dead = asyncio.create_task(self._fork_server.wait(pid))
        settled = asyncio.create_task(self._account.until(lambda journal: is_settled(journal, self.words)))
        await asyncio.wait({dead, settled}, return_when=asyncio.FIRST_COMPLETED)
        if not dead.done():
            os.kill(pid, signal.SIGTERM)
        settled.cancel()
        if (await dead) == -signal.SIGKILL and point:
            await self._note_unsaved()
        else:
            assert await dead == 0, self._log.read_text()

    async def check(self, record_property: Note, *, given_up: int = 0) -> None:
        """Check what is shown and remembered: each question is answered once, but for as many as may be given up.

        The only messages left behind without an answer are those whose ids were not kept at a kill.
        """
        journal = await self._account.journal()
        found = {word: answer(journal, word) for word in self.words}
        kept = sorted((chat, word) for chat, word in zip(self._chats, self.words, strict=True) if found[word])
        orphans = messages(journal).difference(apologies(journal), *found.values())
        record_property("messages", len(self.words))
        record_property("orphans", len(orphans))
        assert len(self.words) - len(kept) == len(apologies(journal)) <= given_up
        assert ["\n".join(found[word].values()) for _, word in kept] == [whole_answer(word) for _, word in kept]
        assert await remembered(self._plan.database, self._account) == kept
        assert orphans <= self._unsaved
        assert given_up or not [entry for entry in journal if entry["do"] == "flood"]  # a restart forgets the limits

    async def _note_unsaved(self) -> None:
        """Note the messages whose ids were not kept when the bot was killed."""
        handles, exposed = await saved_handles(self._plan.database)
        kept = {(handle.chat, id_) for text in handles if (handle := Handle.parse(text)) for id_ in handle.ids}
        unsaved = messages(await self._account.journal()) - kept - self._unsaved
        assert len(unsaved) <= exposed
        self._unsaved |= unsaved

    async def _start(self, point: str = "", hit: int = 1) -> int:
        return await self._fork_server.start(replace(self._plan, point=point, hit=hit), self._log)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("point", ["edit uncommitted", "edit committed", "finish committed", "claim_waiting committed"])
async def test_an_edited_message_is_answered_once(
    account: Account, fork_server: ForkServer, tmp_path: Path, point: str, mode: str
) -> None:
    """After a kill and a restart an edited message has one answer, to its last words."""
    database, log, port = f"sqlite:///{tmp_path}/parley.db", tmp_path / "log", free_port()
    settings = {"token": account.token, "base_url": account.base_url, "mode": mode}
    settings["webhook_url"] = f"http://127.0.0.1:{port}"
    plan = Plan(platform="telegram", settings=settings, port=port, database=database)
    said = await account.say("w1x1", person=5)
    await account.edit(5, said["message_id"], "w2x1")
    pid = await fork_server.start(replace(plan, point=point), log)
    assert await fork_server.wait(pid) == -signal.SIGKILL, log.read_text()
    pid = await fork_server.start(plan, log)
    journal = await account.until(lambda journal: is_settled(journal, ["w2x1"]))
    os.kill(pid, signal.SIGTERM)
    assert await fork_server.wait(pid) == 0, log.read_text()
    journal = await account.journal()
    assert list(answer(journal, "w2x1").values()) == [whole_answer("w2x1")]
    last = {entry["message"]: entry["text"] for entry in shown(journal, 5)}
    assert list(last.values()) == [whole_answer("w2x1")]
    assert await remembered(database, account) == [(5, "w2x1")]


async def ask(account: Account, word: str, chat: int) -> None:
    if chat > 0:
        await account.say(word, person=chat)
    else:
        await account.say(f"@{account.username} {word}", person=7, chat={"id": ROOM, "type": "group", "title": "g"})


async def remembered(database: str, account: Account) -> list[tuple[int, str]]:
    """The questions in the histories, with their chats. Every turn must have a reply."""
    found = []
    async with open_store(database) as store:
        for chat, person in ((5, 5), (6, 6), (ROOM, 7)):
            where = ConversationKey(platform="telegram", workspace=str(account.id), chat=str(chat))
            who = Person(platform="telegram", workspace=str(account.id), id=str(person))
            kept = await store.run(history.load, where, who)
            found += [(chat, exchange.question) for exchange in kept]
        states = await store.run(lambda c: c.scalars(sa.text("SELECT DISTINCT state FROM turns")).all())
    assert {*states} <= {"answered", "delivered"}
    return sorted(found)
