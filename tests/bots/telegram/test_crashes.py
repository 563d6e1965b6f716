"""kill -9 at every step of answering a message on Telegram, by polling and by webhook."""

import os
import random
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from bots.telegram.opening import MORE
from core.messages import ConversationKey, Person
from core.store import history, open_store
from tests.bots.gateway import Note, Plan, free_port, whole_answer
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
WINDOW = {"sendMessage mute", "set_handle uncommitted", "accept uncommitted", "accept committed"}
"""Between a message's being posted and its id's being kept: where a crash may leave it behind. A message is taken
in beside a turn that may be there.
"""
ROOM = -100
MODES = ("polling", "webhook")
SEEDS = range(5)
LIVES = [
    pytest.param(point, mode, seed, marks=() if (number % 2, 0) == (way, seed) else pytest.mark.long)
    for number, point in enumerate((*STEPS, *CALLS, *PREVIEWS))
    for way, mode in enumerate(MODES)
    for seed in SEEDS
]
"""Each point runs once, by alternating transports; the others take minutes."""


def answer(journal: list[Entry], word: str) -> dict[tuple[int, int], str]:
    """The messages that hold the reply to a question, in order, without those that hold its beginning only."""
    found = {(e["chat"], e["message"]): e["text"] for e in shown(journal) if e["text"].startswith(f"you said {word} ")}
    return {place: text for place, text in sorted(found.items()) if not text.endswith(MORE)}


def is_settled(journal: list[Entry], words: list[str]) -> bool:
    return all(len("\n".join(answer(journal, word).values())) >= len(whole_answer(word)) for word in words)


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
    words = [f"w{number}x{chance.choice((1, 9))}" for number in range(chance.randint(2, 5))]
    chats = [5, *(chance.choice((5, 6, ROOM)) for _ in words[1:])]
    died_of = chance.randint(1, len(words))
    database, log, port = f"sqlite:///{tmp_path}/parley.db", tmp_path / "log", free_port()
    settings = {"token": account.token, "base_url": account.base_url, "mode": mode}
    settings["webhook_url"] = f"http://127.0.0.1:{port}"
    plan = Plan(platform="telegram", settings=settings, port=port, database=database)
    for word, chat in zip(words, chats, strict=True):
        await ask(account, word, chat)
    method, _, kind = point.partition(" ")
    if point in STEPS:
        pid = await fork_server.start(replace(plan, point=point, hit=died_of), log)
    else:
        skip = 0 if point in PREVIEWS else died_of - 1
        await account.faults({"method": method, "kind": kind, "skip": skip, "times": 1000})
        pid = await fork_server.start(plan, log)
        await account.until(lambda journal: [entry for entry in journal if entry.get("fault") == kind])
        os.kill(pid, signal.SIGKILL)
    assert await fork_server.wait(pid) == -signal.SIGKILL, log.read_text()
    await account.faults()
    pid = await fork_server.start(plan, log)
    journal = await account.until(lambda journal: is_settled(journal, words))
    os.kill(pid, signal.SIGTERM)
    assert await fork_server.wait(pid) == 0, log.read_text()
    journal = await account.journal()
    assert ["\n".join(answer(journal, word).values()) for word in words] == [whole_answer(word) for word in words]
    finals = set().union(*(answer(journal, word) for word in words))
    orphans = {(entry["chat"], entry["message"]) for entry in shown(journal)} - finals
    record_property("messages", len(words))
    record_property("orphans", len(orphans))
    assert len(orphans) <= (point in WINDOW)
    assert await remembered(database, account) == sorted(zip(chats, words, strict=True))
    assert not [entry for entry in journal if entry["do"] == "flood"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "point", ["edit_ uncommitted", "edit_ committed", "finish committed", "claim_waiting committed"]
)
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
