from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import ManualClock
from core.messages import ConversationKey, Message
from core.store import Store, admissions, events, open_store, people, retention, turns, votes
from core.store.removal import ALL
from core.store.schema import turns as table
from core.store.sqlite import make_engine, prepare
from tests.core.conftest import Write
from tests.core.store.test_records import ANN, BOB, Scene

DAY = 86_400.0
EPOCH, KEEP = 1_750_000_000.0, 30 * DAY


async def test_old_turns_go_in_steps(tmp_path: Path, clock: ManualClock, write: Write) -> None:
    """Turns older than a time go with their votes, a few at once; younger ones and those still open stay."""
    async with open_store(f"sqlite:///{tmp_path}/parley.db") as store:
        scene = Scene(store, clock, write, tmp_path)
        old = [await scene.answered(f"canary {number}") for number in range(5)]
        await store.run(votes.cast, old[0], BOB, 1, clock.now())
        await scene.ask("open")
        clock.advance(DAY)
        await scene.answered("young", BOB)
        steps = [await store.run(retention.purge_turns, clock.now() - 10, 2) for _ in range(4)]
        assert steps == [2, 2, 1, 0]
        assert await scene.rows("SELECT text FROM turns ORDER BY id") == [("open",), ("young",)]
        assert await scene.rows("SELECT * FROM votes") == []
        assert scene.files_with("canary") == []


async def test_people_of_whom_nothing_is_left_go(tmp_path: Path, clock: ManualClock, write: Write) -> None:
    """A person goes with their last turn, unless they wrote lately or an administrator has decided on them."""
    async with open_store(f"sqlite:///{tmp_path}/parley.db") as store:
        scene = Scene(store, clock, write, tmp_path)
        await scene.answered("one", ANN)
        await scene.answered("two", BOB)
        await store.run(admissions.decide, BOB, True)  # noqa: FBT003
        clock.advance(DAY)
        assert await store.run(retention.purge_people, clock.now() - 10, 9) == 0
        await store.run(retention.purge_turns, clock.now() - 10, 9)
        assert await store.run(retention.purge_people, clock.now() - 2 * DAY, 9) == 0
        assert await store.run(retention.purge_people, clock.now() - 10, 9) == 1
        assert await scene.rows("SELECT key FROM people") == [(str(BOB),)]


async def test_ids_of_purged_turns_are_not_given_again(tmp_path: Path, clock: ManualClock, write: Write) -> None:
    """If all turns are purged, the next one has a new id all the same."""
    async with open_store(f"sqlite:///{tmp_path}/parley.db") as store:
        scene = Scene(store, clock, write, tmp_path)
        last = await scene.answered("old")
        await store.run(retention.purge_turns, clock.now() + 1, 9)
        assert await store.read(lambda c: c.scalar(sa.text("SELECT count(*) FROM turns"))) == 0
        assert await scene.ask("new") == last + 1


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.integers(-400, 400), st.booleans()), min_size=1, max_size=25))
def test_no_jump_of_the_clock_makes_anything_old(jumps: list[tuple[int, bool]]) -> None:
    """However far the clock is off, forth or back, if it is right at every other daily look, nothing is deleted before
    it is old; once it is right again, everything old is deleted within two days.
    """
    engine = make_engine("sqlite://")
    prepare(engine, None)
    sent: dict[int, float] = {}

    def day(now: float, off: float, *, restarted: bool = False) -> None:
        """A day with a look, perhaps a second one because of a restart, and a message."""
        with engine.begin() as connection:
            for _ in range(1 + restarted):
                if (believed := retention.look(connection, now + off)) is not None:
                    retention.purge_turns(connection, believed - KEEP, ALL)
            young = {turn for turn, at in sent.items() if at >= now - KEEP}
            assert young <= set(connection.scalars(sa.select(table.c.id)))
            place = ConversationKey(platform="test", workspace="w", chat="c")
            message = Message(event_keys=(), conversation=place, sender=ANN, text="hello", sent_at=now)
            person = people.find_or_add(connection, ANN)
            sent[turns.add(connection, person.id, message, "en", now + off)] = now
            connection.execute(table.update().values(state="delivered"))

    now = EPOCH
    for days, restarted in jumps:
        day(now, 0, restarted=restarted)
        day(now + DAY, days * DAY, restarted=restarted)
        now += 2 * DAY
    sound = {turn for turn, at in sent.items() if at not in {EPOCH + DAY * (2 * n + 1) for n in range(len(jumps))}}
    for _ in range(3):
        day(now, 0)
        now += DAY
    with engine.begin() as connection:
        kept = set(connection.scalars(sa.select(table.c.id)))
    engine.dispose()
    assert not {turn for turn in kept & sound if sent[turn] < now - KEEP - 3 * DAY}


async def test_keys_of_a_clock_that_was_behind_are_kept(store: Store, clock: ManualClock) -> None:
    """A key that was seen under a clock of 1970 is no old one: the newest are kept whatever their time."""
    await store.run(events.remember, ["old"], 0.0)
    await store.run(events.remember, ["new"], 1.0)
    assert await store.run(events.purge, clock.now(), 9, newest=1) == 1
    assert await store.run(events.is_known, ["new"])
    assert not await store.run(events.is_known, ["old"])


async def test_keys_and_people_go_in_steps(store: Store, clock: ManualClock) -> None:
    """A step deletes a few old keys, or people, so that a message waits for no more than these."""
    await store.run(events.remember, [str(number) for number in range(5)], 0.0)
    for person in (ANN, BOB, replace(ANN, id="cid")):
        await store.run(people.find_or_add, person)
    assert [await store.run(events.purge, clock.now(), 2, newest=0) for _ in range(4)] == [2, 2, 1, 0]
    assert [await store.run(retention.purge_people, clock.now(), 2) for _ in range(3)] == [2, 1, 0]
