"""What is deleted from the store is forgotten by the caches and by the model server too, whenever the process ends."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.accepting import Accepted
from core.classifier import OWNER
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.errors import EngineUnavailable
from core.forgetting import Left, Memory, forget_person
from core.messages import Person, Quote, Relation
from core.scopes import scope
from core.store import Store, admissions, open_store, records, retention, stale_scopes, tombstones, turns
from tests.core.conftest import Write
from tests.core.store.test_records import ANN, BOB, Scene


@pytest.fixture
async def scene(tmp_path: Path, clock: ManualClock, write: Write) -> AsyncIterator[Scene]:
    async with open_store(f"sqlite:///{tmp_path}/parley.db") as store:
        yield Scene(store, clock, write, tmp_path)


def memory(scene: Scene, engine: ScriptedEngine, *, store: Store | None = None, owner: str = "me") -> Memory:
    return Memory(store=store or scene.store, engine=engine, clock=scene.clock, owner=owner)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine.fixed()


def scopes(scene: Scene, *names: str) -> set[str]:
    """The scopes of people in the chats that the scene gives them, of what they share there, and of labels."""
    found = {OWNER}
    for name in names:
        message = scene.write("", who=name, chat="")
        place = str(message.conversation)
        found |= {scope(place), scope(place, str(message.sender))}
    return found


async def test_the_model_forgets_who_was_forgotten(scene: Scene, engine: ScriptedEngine) -> None:
    """The server is told the scopes of the person, and nobody else's; once only."""
    await scene.answered("mine", ANN)
    await scene.answered("theirs", BOB)
    await scene.store.run(records.forget, ANN, 0)
    await memory(scene, engine).forget()
    assert set(engine.forgotten) == scopes(scene, ANN.id)
    await memory(scene, engine).forget()
    assert len(engine.forgotten) == len(scopes(scene, ANN.id))


async def test_it_is_told_again_until_it_answers(scene: Scene, engine: ScriptedEngine) -> None:
    """What a server that is away was not told stays in the store, so that the next process tells it."""
    await scene.answered("mine", ANN)
    await scene.store.run(records.forget, ANN, 0)
    engine.available = False
    with pytest.raises(EngineUnavailable):
        await memory(scene, engine).forget()
    async with open_store(f"sqlite:///{scene.folder}/parley.db") as after_a_crash:
        engine.available = True
        await memory(scene, engine, store=after_a_crash, owner="after").forget()
    assert set(engine.forgotten) == scopes(scene, ANN.id)


async def test_each_gateway_tells_its_own_server(scene: Scene, engine: ScriptedEngine) -> None:
    """A note stays until every gateway has told its server, and a new one tells what is kept."""
    other = ScriptedEngine.fixed()
    await memory(scene, engine).forget()
    await memory(scene, other, owner="other").forget()
    await scene.answered("mine", ANN)
    await scene.store.run(records.forget, ANN, 0)
    await memory(scene, engine).forget()
    await memory(scene, other, owner="other").forget()
    assert set(engine.forgotten) == set(other.forgotten) == scopes(scene, ANN.id)
    assert await scene.rows("SELECT * FROM stale_scopes") == []


async def test_what_was_computed_meanwhile_is_forgotten_with_the_last_turn(
    scene: Scene, engine: ScriptedEngine
) -> None:
    """If a turn was being answered when its sender was forgotten, the server is told again after its last words."""
    await scene.ask("mine", ANN)
    claim = await scene.claim()
    await scene.store.run(records.forget, ANN, 0)
    await memory(scene, engine).forget()
    engine.forgotten.clear()
    await scene.store.run(turns.reopen, claim, "me")
    await scene.deliver_answered()
    await memory(scene, engine).forget()
    assert set(engine.forgotten) == scopes(scene, ANN.id)


async def test_prompts_with_quotes_are_forgotten(scene: Scene, engine: ScriptedEngine) -> None:
    """The prompts of others that quoted somebody go, since the quotes may be of the person who is forgotten."""
    await scene.answered("mine", ANN)
    await scene.answered("theirs", BOB, quotes=(Quote(relation=Relation.REPLIED, text="mine"),))
    await scene.store.run(records.forget, ANN, 0)
    await memory(scene, engine).forget()
    assert set(engine.forgotten) == scopes(scene, ANN.id, BOB.id)


async def test_what_grows_too_old_is_forgotten(scene: Scene, engine: ScriptedEngine) -> None:
    """Turns that are deleted because of their age are told as well."""
    await scene.answered("old", ANN)
    await scene.store.run(retention.purge_turns, scene.clock.now() + 1, 9)
    await memory(scene, engine).forget()
    assert set(engine.forgotten) == scopes(scene, ANN.id)


async def test_a_server_that_cannot_forget_is_asked_once(scene: Scene, engine: ScriptedEngine) -> None:
    """The answer is False, and what it cannot do is not asked of it again."""
    await scene.answered("mine", ANN)
    await scene.store.run(records.forget, ANN, 0)
    engine.can_forget = False
    await memory(scene, engine).forget()
    assert not await scene.store.read(stale_scopes.pending, "me", 9)


async def forget(scene: Scene, engine: ScriptedEngine, who: Person = ANN) -> tuple[Left, list[Person]]:
    """An operator has a person forgotten: what is left, and whom the answer cache was told to forget."""
    told: list[Person] = []
    left = await forget_person(memory(scene, engine), who, forget_answers=told.append)
    return left, told


async def test_an_operator_forgets_like_the_person(scene: Scene, engine: ScriptedEngine) -> None:
    """No word of theirs is in a file, both caches have forgotten them, and a tombstone keeps what was decided."""
    await scene.answered("canary-annabel sings", ANN)
    await scene.answered("from bob", BOB)
    await scene.store.run(admissions.decide, ANN, False)  # noqa: FBT003
    left, told = await forget(scene, engine)
    assert left == Left(in_log=False, in_model="")
    assert told == [ANN]
    assert set(engine.forgotten) == scopes(scene, ANN.id)
    assert scene.files_with("annabel") == []
    assert await scene.rows("SELECT text FROM turns") == [("from bob",)]
    assert await scene.store.read(admissions.decision, ANN) is False


async def test_who_was_forgotten_by_an_operator_may_write_on(scene: Scene, engine: ScriptedEngine) -> None:
    """No message is taken for one from before, however wrong the clock of this machine is, and each time counts."""
    await scene.answered("hello", ANN)
    scene.clock.advance(86_400)
    await forget(scene, engine)
    scene.clock.jump(-86_400)
    assert isinstance(await scene.admission.accept(scene.write("hello again", who=ANN.id)), Accepted)
    first = await scene.store.read(tombstones.forgotten_at, ANN)
    await forget(scene, engine)
    assert await scene.store.read(tombstones.forgotten_at, ANN) > first


async def test_open_turns_of_who_is_forgotten_by_an_operator_end(scene: Scene, engine: ScriptedEngine) -> None:
    """What waits is answered with a word, and the person goes with it; nothing is left of one who never wrote."""
    await scene.ask("canary-annabel waits", ANN)
    await forget(scene, engine)
    assert scene.files_with("canary-annabel") == []
    assert await scene.deliver_answered() == ["Stopped."]
    assert await scene.rows("SELECT * FROM people") == []
    assert (await forget(scene, engine))[0] == Left(in_log=False, in_model="")


async def test_what_an_operator_could_not_have_forgotten_is_named(scene: Scene, engine: ScriptedEngine) -> None:
    """A model server that is away forgets later, and another one than ours never."""
    await scene.answered("mine", ANN)
    engine.available = False
    assert (await forget(scene, engine))[0].in_model == "later"
    engine.available, engine.can_forget = True, False
    assert (await forget(scene, engine))[0].in_model == "never"
