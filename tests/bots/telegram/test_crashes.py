"""kill -9 at every step of answering a message on Telegram, by polling and by webhook."""

import os
import random
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bots.telegram.handle import Handle
from bots.telegram.opening import MORE
from core.messages import ConversationKey, Person
from core.store import history, open_store
from tests.bots.gateway import Note, Plan, whole_answer
from tests.bots.lives import GIVEN_UP, SEEDS, STEPS, Lives
from tests.fakes.telegram.control import Account, shown
from tests.fakes.telegram.journal import Entry
from tests.faults.fork_server import ForkServer
from tests.ports import free_port

CALLS = ("sendMessage silence", "sendMessage mute", "editMessageText silence", "editMessageText mute")
PREVIEWS = ("sendMessageDraft mute", "sendChatAction silence")
"""Where it is killed while Telegram does not answer a call, which had no effect (silence) or took effect (mute)."""
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


def is_settled(journal: list[Entry], words: Sequence[str]) -> bool:
    open_ = [word for word in words if len("\n".join(answer(journal, word).values())) < len(whole_answer(word))]
    return len(open_) <= len(apologies(journal))


@pytest.mark.parametrize(("point", "mode", "seed"), LIVES)
async def test_every_message_is_answered_once(  # noqa: PLR0913  most are fixtures
    account: Account,
    fork_server: ForkServer,
    tmp_path: Path,
    database: str,
    record_property: Note,
    *,
    point: str,
    mode: str,
    seed: int,
) -> None:
    """After a kill and a restart the bot answers each message once, and remembers each exchange once."""
    chance = random.Random(f"{point} {mode} {seed}")
    case = Case(account=account, fork_server=fork_server, folder=tmp_path, database=database, mode=mode, chance=chance)
    await case.ask_all()
    await case.crash(point)
    await case.live()
    await case.check(record_property)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4 * SEEDS))
@pytest.mark.parametrize("mode", MODES)
async def test_a_crash_of_the_recovery_changes_nothing(
    account: Account,
    fork_server: ForkServer,
    tmp_path: Path,
    database: str,
    record_property: Note,
    *,
    mode: str,
    seed: int,
) -> None:
    """The bot is killed again after its restart, at another step, if it comes to that.

    It gives up on the question that it was answering both times, and says so.
    """
    chance = random.Random(f"{mode} {seed}")
    case = Case(account=account, fork_server=fork_server, folder=tmp_path, database=database, mode=mode, chance=chance)
    first, second = chance.choice((*STEPS, *CALLS, *PREVIEWS)), chance.choice(STEPS)
    await case.ask_all()
    await case.crash(first)
    await case.live(second)
    await case.live()
    await case.check(record_property, given_up=1)


class Case(Lives[tuple[int, int]]):
    """A bot that is asked in random chats."""

    def __init__(
        self,
        *,
        account: Account,
        fork_server: ForkServer,
        folder: Path,
        database: str,
        mode: str,
        chance: random.Random,
    ) -> None:
        words = [f"w{number}x{chance.choice((1, 9))}" for number in range(chance.randint(2, 5))]
        port = free_port()
        settings = {"token": account.token, "base_url": account.base_url, "mode": mode}
        settings["webhook_url"] = f"http://127.0.0.1:{port}"
        plan = Plan(platform="telegram", settings=settings, port=port, database=database)
        super().__init__(words=words, plan=plan, fork_server=fork_server, log=folder / "log")
        self._chats = [5, *(chance.choice((5, 6, ROOM)) for _ in words[1:])]
        self._chance = chance
        self._account = account

    async def ask_all(self) -> None:
        for word, chat in zip(self.words, self._chats, strict=True):
            await ask(self._account, word, chat)

    async def crash(self, point: str) -> None:
        """A life that is killed at a step, or while a call is not answered."""
        hit = self._chance.randint(1, len(self.words))
        if point in STEPS:
            pid = await self.start(point, hit)
        else:
            method, kind = point.split()
            skip = 0 if point in PREVIEWS else hit - 1
            await self._account.faults({"method": method, "kind": kind, "skip": skip, "times": 1000})
            pid = await self.start()
            await self._account.until(lambda journal: [entry for entry in journal if entry.get("fault") == kind])
            os.kill(pid, signal.SIGKILL)
        await self.until_killed(pid)
        await self._account.faults()

    async def until_settled(self) -> None:
        await self._account.until(lambda journal: is_settled(journal, self.words))

    async def unsaved(self, handles: Sequence[str]) -> set[tuple[int, int]]:
        kept = {(handle.chat, id_) for text in handles if (handle := Handle.parse(text)) for id_ in handle.ids}
        return messages(await self._account.journal()) - kept

    async def check(self, record_property: Note, *, given_up: int = 0) -> None:
        """Check what is shown and remembered."""
        journal = await self._account.journal()
        answered = self.check_shown(
            record_property,
            messages=messages(journal),
            apologies=apologies(journal),
            answers={word: answer(journal, word) for word in self.words},
            given_up=given_up,
        )
        asked = zip(self._chats, self.words, strict=True)
        kept = sorted((chat, word) for chat, word in asked if word in answered)
        assert await remembered(self.plan.database, self._account) == kept
        floods = [entry for entry in journal if entry["do"] == "flood"]
        assert given_up or len(floods) <= 1  # a restart forgets what was sent before, and learns of it from Telegram


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
