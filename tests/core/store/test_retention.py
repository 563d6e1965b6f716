from pathlib import Path

import sqlalchemy as sa

from core.clock import ManualClock
from core.store import admissions, open_store, retention, votes
from tests.core.conftest import Write
from tests.core.store.test_records import ANN, BOB, Scene

DAY = 86_400.0


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
