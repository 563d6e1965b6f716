"""Isolation between people: each of twenty has a canary, and the model repeats its whole prompt."""

import asyncio
import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Concatenate, ParamSpec, TypeVar

import pytest
import sqlalchemy as sa

from core.accepting import Accepted
from core.admission import Admission
from core.chat import chatbot
from core.clock import ManualClock
from core.delivery import Claim
from core.engine.scripted import ScriptedEngine
from core.messages import Message, Person, Reply, Source
from core.prompt import Persona
from core.stages.cache import AnswerCache
from core.stages.generate import ReplyLimits
from core.stages.mood import MoodReader
from core.store import Store, history, records
from core.store.history import Keeping
from core.worker import Worker
from tests.core.conftest import Write
from tests.options import chat_with, unthrottled_with, worker_with

P = ParamSpec("P")
R = TypeVar("R")

PEOPLE = [f"p{number}" for number in range(20)]
TURNS = 10
GENEROUS = unthrottled_with(max_queued=10_000, max_wait=1e6, allow=frozenset({"test:*"}))
LEASE = 10.0
CANARY = re.compile(r"canary-(p\d+)-")


@dataclass(slots=True, kw_only=True)
class Seen:
    """A front end that records pieces and replies by turn."""

    pieces: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    replies: dict[int, tuple[str, Reply]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self, claim: Claim) -> str:
        return f"m{claim.id}"

    async def preview(self, claim: Claim, piece: str) -> None:
        self.pieces[claim.message.sender.id].append(piece)
        await asyncio.sleep(0)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        self.replies[claim.id] = (claim.message.sender.id, reply)
        self.news.set()
        return claim.handle

    async def open_thread(self, _claim: Claim) -> str:
        raise AssertionError

    async def withdraw(self, _claim: Claim) -> None:
        raise AssertionError

    async def drop(self, _claim: Claim) -> None:
        raise AssertionError

    async def until(self, replies: int) -> None:
        while len(self.replies) < replies:
            self.news.clear()
            await self.news.wait()


class ForgetfulOfPeople:
    """A faulty store that loads the first person's history for every person."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read = store.read
        self.scrub = store.scrub

    async def run(self, verb: Callable[Concatenate[sa.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        any_verb: Callable[..., R] = verb
        if verb is history.load:
            return await self._store.run(any_verb, args[0], Person(platform="test", workspace="w", id="p0"))
        return await self._store.run(verb, *args, **kwargs)


class House:
    """A bot that can be restarted on one store, one cache and one model."""

    def __init__(self, store: Store, clock: ManualClock, persona: Persona) -> None:
        self.clock = clock
        self.store = store
        self.engine = ScriptedEngine.echo()
        self.answers = AnswerCache(size=1000, ttl=1e6, timer=clock.monotonic)
        self.seen = Seen()
        self.admission = Admission(store, clock, GENEROUS, self)
        self.worker: Worker | None = None
        self._options = chat_with(persona=persona, reply=ReplyLimits(max_tokens=200, total_timeout=1e6))
        self._owners = count(1)

    def notify(self) -> None:
        if self.worker:
            self.worker.notify()

    def interrupt(self, turn_id: int) -> None:
        if self.worker:
            self.worker.interrupt(turn_id)

    async def serve(self, until: int) -> None:
        """Run a worker until this number of turns is answered, then cancel it during the others."""
        moods = MoodReader(self.engine)
        handler = chatbot(self.store, self.engine, moods, self.answers, self.clock, self._options)
        options = worker_with(
            owner=f"w{next(self._owners)}", slots=8, lease=LEASE, keeping=Keeping(max_tokens=400, shared=False)
        )
        self.worker = Worker(self.store, handler, {"test/w": self.seen}, self.clock, options)
        running = asyncio.create_task(self.worker.run())
        await self.seen.until(until)
        running.cancel()
        await asyncio.wait([running])
        self.clock.advance(LEASE + 1)

    async def ask(self, message: Message) -> Reply:
        """Send one message and return its reply."""
        outcome = await self.admission.accept(message)
        assert isinstance(outcome, Accepted)
        await self.serve(len(self.seen.replies) + 1)
        return self.seen.replies[outcome.turn_id][1]


@pytest.fixture
def house(sqlite_store: Store, clock: ManualClock, persona: Persona) -> House:
    return House(sqlite_store, clock, persona)


async def talk_at_random(house: House, write: Write, seed: int) -> None:
    """Each person writes ten times; at random an admission is cancelled and repeated, or the worker is cancelled."""
    chance = random.Random(seed)
    messages = [
        write(f"canary-{who}- {chance.choice(('hello', '你好', 'what is new today', 'and then?'))} {turn}", who=who)
        if chance.random() < 0.7
        else write(f"canary-{who}- says {turn}", who=who, chat="room")
        for turn in range(TURNS)
        for who in chance.sample(PEOPLE, len(PEOPLE))
    ]

    async def arrive() -> None:
        for message in messages:
            if chance.random() < 0.1:
                cancelled = asyncio.create_task(house.admission.accept(message))
                for _ in range(chance.randrange(4)):
                    await asyncio.sleep(0)
                cancelled.cancel()
            await house.admission.accept(message)

    async with asyncio.TaskGroup() as group:
        group.create_task(arrive())
        while len(house.seen.replies) < len(messages):
            await house.serve(min(len(messages), len(house.seen.replies) + chance.randint(1, 40)))


def strangers(texts: Iterable[str], person: str) -> set[str]:
    return {found for text in texts for found in CANARY.findall(text)} - {person}


async def leaks(house: House) -> set[str]:
    """The places where a canary of another person is."""
    found = {f"preview of {who}" for who, pieces in house.seen.pieces.items() if strangers(["".join(pieces)], who)}
    found |= {f"reply to {who}" for who, reply in house.seen.replies.values() if strangers([reply.text], who)}
    for prompt in house.engine.prompts + house.engine.first_token_prompts:
        asker = CANARY.findall(prompt[-1].content)
        found |= {"prompt" for _ in strangers([message.content for message in prompt], asker[0] if asker else "")}
    for entry in house.answers._entries.values():
        found |= {"cache" for _ in strangers([entry.reply.text], Person.parse(entry.asked_by).id)}
    for who in PEOPLE:
        kept = await house.store.run(records.export, Person(platform="test", workspace="w", id=who))
        found |= {f"export of {who}" for _ in strangers([record.text + record.reply for record in kept], who)}
    return found


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 5))])
async def test_words_never_reach_another_person(house: House, write: Write, seed: int) -> None:
    """All of two hundred turns, cancelled at random, are answered, and no canary reaches another person."""
    await talk_at_random(house, write, seed)
    assert len(house.seen.replies) == len(PEOPLE) * TURNS
    assert {reply.error for _, reply in house.seen.replies.values()} == {""}
    assert {who for who, _ in house.seen.replies.values()} == set(PEOPLE)
    assert await leaks(house) == set()


async def test_a_leak_is_detected(store: Store, clock: ManualClock, persona: Persona, write: Write) -> None:
    """With mixed histories the test finds canaries in prompts, previews, replies and exports."""
    house = House(ForgetfulOfPeople(store), clock, persona)
    for turn, who in enumerate(("p0", "p1")):
        await house.ask(write(f"canary-{who}- says {turn}", who=who, chat="room"))
    assert await leaks(house) == {"prompt", "preview of p1", "reply to p1", "export of p1"}


async def test_frequent_question_is_shared_and_a_follow_up_is_not(house: House, write: Write) -> None:
    """A self-contained question is shared from the cache; a follow-up is not."""
    replies = [
        await house.ask(write(text, who=who))
        for text in ("When do you open?", "and the other one?")
        for who in ("ann", "bob")
    ]
    assert [reply.source for reply in replies] == [Source.MODEL, Source.CACHE, Source.MODEL, Source.MODEL]
    assert replies[0].text == replies[1].text


async def test_people_in_one_chat_have_histories_of_their_own(house: House, write: Write) -> None:
    """In a group the prompt holds only the same person's exchanges."""
    await house.ask(write("canary-p1- is my word", who="p1", chat="room"))
    other = await house.ask(write("what do you know of me", who="p2", chat="room"))
    same = await house.ask(write("what do you know of me", who="p1", chat="room"))
    assert "canary-p1-" not in other.text
    assert "canary-p1-" in same.text


async def test_export_is_one_persons_own(house: House, write: Write) -> None:
    """/export in a group holds only the asker's words."""
    for who in ("p1", "p2"):
        await house.ask(write(f"canary-{who}- speaks here", who=who, chat="room"))
    rows = json.loads((await house.ask(write("/export", who="p1", chat="room"))).text)
    assert [row["text"] for row in rows] == ["canary-p1- speaks here"]
    assert not strangers([json.dumps(rows)], "p1")
