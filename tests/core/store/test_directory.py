"""The people as operators see them."""

from pathlib import Path

import pytest

from core.clock import ManualClock
from core.messages import ConversationKey, Person
from core.store import Store, admissions, directory, handoffs, people
from core.store.directory import Known, Mark
from tests.core.conftest import Write
from tests.core.store.test_records import Scene

DESK = ConversationKey(platform="test", workspace="w", chat="desk")


@pytest.fixture
def scene(store: Store, clock: ManualClock, write: Write, tmp_path: Path) -> Scene:
    return Scene(store, clock, write, tmp_path)  # type: ignore[arg-type]  # no file is read


def person(name: str) -> Person:
    return Person(platform="test", workspace="w", id=name)


async def names(store: Store, part: str = "") -> list[str]:
    return [known.person.id for known in await store.read(directory.page, part)]


async def test_what_is_known_of_people(scene: Scene) -> None:
    """Their turns, the time of the last one, their language, what was decided, and whether somebody helps them."""
    first = await scene.ask("how are you today?", person("ann"))
    scene.clock.advance(60)
    last = await scene.ask("and tomorrow?", person("ann"))
    await scene.store.run(people.set_locale, person("ann"), "zh")
    await scene.store.run(admissions.decide, person("ann"), False)  # noqa: FBT003
    message = scene.write("", who="ann")
    handoff = await scene.store.run(handoffs.add, 1, message, "en", DESK, now=1.0, due=2.0)
    (known,) = await scene.store.read(directory.page)
    assert known == Known(
        mark=Mark(last, 1),
        person=person("ann"),
        turns=2,
        last_seen=scene.clock.now(),
        locale="zh",
        admitted=False,
        is_handed_over=True,
    )
    assert first != last
    await scene.store.run(handoffs.close, handoff.id, "close", 3.0)
    found = await scene.store.read(directory.find, person("ann"))
    assert found is not None
    assert not found.is_handed_over
    assert await scene.store.read(directory.find, person("bob")) is None


async def test_people_come_by_their_last_turn(scene: Scene) -> None:
    """The one who wrote last is first, and one who never wrote is last."""
    await scene.store.run(people.find_or_add, person("shy"))
    for who in ("ann", "bob", "ann"):
        await scene.ask("hello", person(who))
    assert await names(scene.store) == ["ann", "bob", "shy"]


async def test_pages_have_everybody_once(scene: Scene) -> None:
    """A page begins behind the last person of the page before, also among those who never wrote."""
    for number in range(4):
        await scene.ask("hello", person(f"writer{number}"))
        await scene.store.run(people.find_or_add, person(f"shy{number}"))
    found: list[Known] = []
    for size in (3, 3, 2, 0):
        page = await scene.store.read(directory.page, "", found[-1].mark if found else None, limit=3)
        assert len(page) == size
        found += page
    writers, shy = [f"writer{number}" for number in (3, 2, 1, 0)], [f"shy{number}" for number in (3, 2, 1, 0)]
    assert [known.person.id for known in found] == writers + shy


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ("test:a", ["a%b", "a_b", "ann"]),
        ("TEST:Ann", ["ann"]),
        ("st:an", ["ann"]),
        (" ann ", ["ann"]),
        ("test/w/ann", ["ann"]),
        ("a_", ["a_b"]),
        ("a%", ["a%b"]),
        ("!", []),
        ("chat:-1", ["chat:-100"]),
        ("test:chat:-1", ["chat:-100"]),
        ("test:小明", ["小明"]),
        ("nobody", []),
        ("other:ann", []),
    ],
)
async def test_people_are_found_by_a_part_of_their_name(store: Store, part: str, found: list[str]) -> None:
    """As in access.allow, in any case, or as in the store; no character is a wildcard."""
    for name in ("a%b", "a_b", "ann", "chat:-100", "小明"):
        await store.run(people.find_or_add, person(name))
    assert sorted(await names(store, part)) == found
