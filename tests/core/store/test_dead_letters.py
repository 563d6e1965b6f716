"""Dead letters are listed without words, tried again, or dropped."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from core.clock import ManualClock
from core.messages import ConversationKey, Person
from core.store import Store, dead_letters, history, records, transcripts, turns
from core.store.dead_letters import DeadLetter
from tests.core.conftest import Write
from tests.core.store.test_records import Scene

ANN = Person(platform="test", workspace="w", id="ann")
HERE = ConversationKey(platform="test", workspace="w", chat="ann")


@pytest.fixture
def scene(store: Store, clock: ManualClock, write: Write, tmp_path: Path) -> Scene:
    return Scene(store, clock, write, tmp_path)  # type: ignore[arg-type]  # no file is read


async def bury(scene: Scene, *, is_answered: bool = False) -> int:
    turn_id = await scene.ask("canary question", ANN)
    claim = await scene.claim()
    if is_answered:
        await scene.finish(claim, "canary answer")
    await scene.store.run(turns.bury, claim, "me", fault="KeyError at api.py:12")
    return turn_id


async def test_dead_letters_are_listed_without_words(scene: Scene) -> None:
    """Where, when, how far they came, and how often they were tried; nothing that was said."""
    first = await bury(scene)
    at = scene.clock.now()
    scene.clock.advance(1)
    second = await bury(scene, is_answered=True)
    listed = await scene.store.read(dead_letters.letters)
    assert listed == (
        DeadLetter(
            id=first,
            platform="test",
            accepted_at=at,
            is_answered=False,
            fault="KeyError at api.py:12",
            attempts=1,
            faults=0,
        ),
        DeadLetter(
            id=second,
            platform="test",
            accepted_at=at + 1,
            is_answered=True,
            fault="KeyError at api.py:12",
            attempts=1,
            faults=0,
        ),
    )
    assert "canary" not in str(listed)
    assert await scene.store.read(dead_letters.letters, first) == listed[1:]
    assert await scene.store.read(dead_letters.letters, limit=1) == listed[:1]


async def test_their_words_are_read_if_that_is_permitted(scene: Scene) -> None:
    """The message and its reply are those of the turn."""
    await bury(scene, is_answered=True)
    (letter,) = await scene.store.read(lambda c: dead_letters.letters(c, with_words=True))
    assert (letter.question, letter.reply) == ("canary question", "canary answer")


async def test_bytes_that_are_no_text_are_read(
    sqlite_store: Store, clock: ManualClock, write: Write, tmp_path: Path
) -> None:
    """They may be what made the letter undeliverable. PostgreSQL stores none."""
    scene = Scene(sqlite_store, clock, write, tmp_path)  # type: ignore[arg-type]  # no file is read
    turn_id = await bury(scene)
    broken = sa.text("UPDATE turns SET text = CAST(x'80ff41' AS TEXT), reply = NULL WHERE id = :id")
    await scene.store.run(lambda c: c.execute(broken, {"id": turn_id}).rowcount)
    (letter,) = await scene.store.read(lambda c: dead_letters.letters(c, with_words=True))
    assert (letter.question, letter.reply) == ("\ufffd\ufffdA", None)


@pytest.mark.parametrize("is_answered", [False, True])
async def test_a_dropped_letter_ends_in_an_apology(scene: Scene, *, is_answered: bool) -> None:
    """It is open no more, its sender can see that it failed, and its answer, which nobody has seen, is no history."""
    turn_id = await bury(scene, is_answered=is_answered)
    assert await scene.store.run(dead_letters.drop, turn_id, scene.clock.now())
    assert await scene.store.read(dead_letters.listed) == ()
    assert await scene.store.run(turns.claim_answered, lease(scene), ["test/w"]) is None
    (shown,) = await scene.store.read(transcripts.latest, HERE, ANN, 9)
    assert shown.claim.reply
    assert shown.claim.reply.error == "unexpected"
    assert await scene.store.read(history.load, HERE, ANN) == ()
    assert not await scene.store.run(dead_letters.drop, turn_id, scene.clock.now())


async def test_a_letter_that_cannot_be_read_is_dropped(scene: Scene) -> None:
    """What a damaged store holds in another form is what most needs to go."""
    turn_id = await bury(scene)
    damage = "UPDATE turns SET conversation = 'x', quotes = 'x', kind = 'x', text = CAST(x'80' AS TEXT)"
    await scene.store.run(lambda c: c.execute(sa.text(damage)).rowcount)
    assert len(await scene.store.read(dead_letters.letters)) == 1
    assert await scene.store.run(dead_letters.drop, turn_id, scene.clock.now())


async def test_only_dead_letters_are_dropped(scene: Scene) -> None:
    """A turn that is still worked on, and one that there is not, are left alone."""
    turn_id = await scene.ask("hello", ANN)
    for number in (turn_id, 99):
        assert not await scene.store.run(dead_letters.drop, number, scene.clock.now())
    assert (await scene.claim()).id == turn_id


async def test_the_letter_of_a_forgotten_person_goes_when_it_is_dropped(scene: Scene) -> None:
    """It is the last that there is of them."""
    turn_id = await bury(scene)
    await scene.store.run(records.forget, ANN, 0)
    await scene.store.run(lambda c: c.execute(sa.text("UPDATE turns SET state = 'dead'")).rowcount)
    assert await scene.store.run(dead_letters.drop, turn_id, scene.clock.now())
    assert await scene.rows("SELECT * FROM turns") == []
    assert await scene.rows("SELECT * FROM people") == []


def lease(scene: Scene) -> turns.Lease:
    return turns.Lease(owner="me", now=scene.clock.now(), until=scene.clock.now() + 9)
