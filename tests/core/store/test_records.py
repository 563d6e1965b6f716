import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from core.accepting import Accepted, Duplicate
from core.admission import Admission
from core.clock import ManualClock
from core.delivery import Claim
from core.errors import MessageChanged
from core.messages import Person, Quote, Relation, Reply, Source
from core.store import Database, admissions, open_store, people, records, tombstones, turns, votes
from core.store.history import Keeping
from core.store.turns import Lease
from tests.core.conftest import Write
from tests.options import limits_with

ANN = Person(platform="test", workspace="w", id="annabel")
BOB = Person(platform="test", workspace="w", id="bob")
CANARY = "canary-annabel"


class Scene:
    """A store in a file, and a gateway that answers with the words that it was asked."""

    def __init__(self, store: Database, clock: ManualClock, write: Write, folder: Path) -> None:
        self.store, self.clock, self.write, self.folder = store, clock, write, folder
        limits = limits_with(allow=frozenset({"test:*"}), max_queued=10_000, burst=10**6, max_wait=1e9)
        self.admission = Admission(store, clock, limits, self)

    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass

    async def ask(self, text: str, who: Person = ANN, chat: str = "", **changes: object) -> int:
        message = replace(self.write(text, who=who.id, chat=chat), **changes)  # type: ignore[arg-type]
        outcome = await self.admission.accept(message)
        assert isinstance(outcome, Accepted)
        return outcome.turn_id

    async def claim(self) -> Claim:
        lease = Lease(owner="me", now=self.clock.now(), until=self.clock.now() + 10)
        claim = await self.store.run(turns.claim_waiting, lease, ["test/w"])
        assert claim is not None
        return claim

    async def deliver_answered(self) -> list[str]:
        """Deliver what is answered and not delivered; the texts."""
        delivered = []
        lease = Lease(owner="me", now=self.clock.now(), until=self.clock.now() + 10)
        while claim := await self.store.run(turns.claim_answered, lease, ["test/w"]):
            assert claim.reply
            delivered.append(claim.reply.text)
            await self.store.run(turns.mark_delivered, claim, "me")
        return delivered

    async def finish(self, claim: Claim, text: str = "") -> None:
        reply = Reply(text=text or f"you said {claim.message.text}", source=Source.MODEL, tokens=9)
        await self.store.run(turns.finish, claim, "me", reply, self.clock.now(), Keeping(max_tokens=99, shared=False))

    async def answered(self, text: str, who: Person = ANN, chat: str = "", **changes: object) -> int:
        turn_id = await self.ask(text, who, chat, **changes)
        await self.deliver(await self.claim())
        return turn_id

    async def deliver(self, claim: Claim) -> None:
        """Answer a turn and deliver the answer."""
        await self.finish(claim)
        await self.store.run(turns.mark_delivered, claim, "me")

    async def forget(self, who: Person = ANN) -> None:
        """Ask for it, and deliver the answer."""
        turn_id = await self.ask("/forget yes", who, chat=who.id)
        claim = await self.claim()
        while await self.store.run(records.forget, who, turn_id, limit=7):
            continue
        await self.finish(claim, "done")
        await self.store.run(turns.mark_delivered, claim, "me")

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        found = await self.store.read(lambda connection: connection.execute(sa.text(query)).all())
        return [tuple(row) for row in found]

    def files_with(self, word: str) -> list[str]:
        return [file.name for file in self.folder.iterdir() if word.encode() in file.read_bytes()]


@pytest.fixture
async def scene(tmp_path: Path, clock: ManualClock, write: Write) -> AsyncIterator[Scene]:
    async with open_store(f"sqlite:///{tmp_path}/parley.db") as store:
        yield Scene(store, clock, write, tmp_path)


async def test_nothing_of_a_forgotten_person_is_in_any_file(scene: Scene) -> None:
    """After /forget neither a person's words nor their id is in the database or its log, in whatever order all came."""
    chance = random.Random(5)
    for number in range(120):
        who = chance.choice((ANN, BOB))
        words = f"canary-{who.id} {number} " + "x" * chance.randrange(3000)
        quotes = (Quote(relation=Relation.REPLIED, text=f"{CANARY} quoted"),) if chance.random() < 0.2 else ()
        await scene.answered(words, who, chance.choice(("", "room")), quotes=quotes)
    await scene.store.run(votes.cast, 1, ANN, 1, 0.0)
    await scene.store.run(people.set_locale, ANN, "zh")
    assert scene.files_with(CANARY)
    await scene.forget()
    assert scene.files_with(CANARY) == []
    assert scene.files_with(ANN.id) == []
    assert await scene.rows("SELECT key FROM people") == [("test/w/bob",)]


async def test_open_turns_end_visibly_and_then_go(scene: Scene) -> None:
    """What waits or runs in other conversations is answered with a word, which is deleted once it is delivered."""
    running = await scene.ask(f"{CANARY} runs", chat="a")
    claim = await scene.claim()
    await scene.ask(f"{CANARY} waits", chat="b")
    await scene.ask("from bob", BOB, chat="c")
    turn_id = await scene.ask("/forget yes")
    await scene.store.run(records.forget, ANN, turn_id)
    assert scene.files_with(CANARY) == []
    assert await scene.store.run(turns.changed, "me") == (running,)
    with pytest.raises(MessageChanged):
        await scene.finish(claim)
    await scene.store.run(turns.reopen, claim, "me")
    assert await scene.deliver_answered() == ["Stopped.", "Stopped."]
    assert await scene.rows("SELECT text FROM turns ORDER BY id") == [("from bob",), ("/forget yes",)]


async def test_a_reader_delays_the_end_of_the_words(scene: Scene) -> None:
    """While another process reads, the log keeps the words; they are gone after the first transaction without it."""
    await scene.answered(f"{CANARY} is secret")
    with closing(sqlite3.connect(scene.folder / "parley.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchone()
        await scene.forget()
        assert not await scene.store.scrub()
        assert scene.files_with(CANARY)
    await scene.answered("hello", BOB)
    assert scene.files_with(CANARY) == []


async def test_a_message_from_before_does_not_come_back(scene: Scene) -> None:
    """A message sent before its sender was forgotten is dropped if it comes later; those sent since are answered."""
    late = scene.write("I am late", who=ANN.id)
    scene.clock.advance(5)
    await scene.forget()
    assert await scene.admission.accept(late) == Duplicate()
    assert not await scene.rows("SELECT 1 FROM people")
    assert isinstance(await scene.admission.accept(scene.write("hello again", who=ANN.id)), Accepted)
    other = replace(late, sender=BOB)
    assert isinstance(await scene.admission.accept(other), Accepted)


async def test_the_time_of_a_button_is_that_of_the_message_that_asked(scene: Scene) -> None:
    """A clock of this machine that is ahead of the platform's does not drop what is sent after a press."""
    asked = await scene.answered("/forget", reference="77")
    turn_id = await scene.ask("/forget yes", reference="77", sent_at=scene.clock.now() + 60)
    await scene.claim()
    await scene.store.run(records.forget, ANN, turn_id)
    assert await scene.store.run(tombstones.forgotten_at, ANN) == scene.clock.now()
    assert turn_id != asked


async def test_rate_limit_and_admission_outlive_the_person(scene: Scene) -> None:
    """The tombstone has no id, and gives a person who comes back their limits and the right to write."""
    await scene.answered("hello")
    await scene.store.run(admissions.decide, ANN, True)  # noqa: FBT003
    await scene.store.run(people.set_noticed, 1, 77.0)
    limit = (await scene.store.run(people.find_or_add, ANN)).throttled_until
    await scene.forget()
    assert await scene.rows("SELECT * FROM people") == []
    assert await scene.store.read(admissions.decision, ANN)
    back = await scene.store.run(people.find_or_add, ANN)
    assert (back.admitted, back.noticed_at) == (True, 77.0)
    assert back.throttled_until >= limit


async def test_the_id_of_a_deleted_turn_is_not_given_again(scene: Scene) -> None:
    """A button under a deleted answer never names somebody else's turn."""
    await scene.forget()
    (last,) = await scene.rows("SELECT last_turn FROM installation")
    assert last == (1,)
    assert await scene.ask("hello", BOB) == 2


async def test_what_administrators_were_asked_goes_too(scene: Scene) -> None:
    """The requests to let a person in, and lists of people, are deleted with the person; other requests stay."""
    for text in ("/access test:annabel", "/access test:annabel yes", "/access", "/access test:annabella"):
        await scene.ask(text, BOB)
        claim = await scene.claim()
        reply = Reply(text="Annabel (test:annabel)", source=Source.COMMAND)
        await scene.store.run(turns.finish, claim, "me", reply, 0.0, Keeping(max_tokens=9, shared=False))
        await scene.store.run(turns.mark_delivered, claim, "me")
    await scene.forget()
    assert await scene.rows("SELECT text FROM turns") == [("/access test:annabella",)]


async def test_an_export_comes_in_pages(scene: Scene) -> None:
    """Each page begins after the last turn of the page before, with the votes on its turns."""
    ids = [await scene.answered(f"message {number}") for number in range(5)]
    await scene.store.run(votes.cast, ids[3], BOB, -1, 0.0)
    first = await scene.store.read(records.export, ANN, limit=3)
    rest = await scene.store.read(records.export, ANN, first[-1].turn, limit=3)
    assert [record.turn for record in (*first, *rest)] == ids
    assert [record.votes for record in rest] == [(-1,), ()]
