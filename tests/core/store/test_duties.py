"""A duty is one gateway's at a time, as long as it renews its lease."""

import asyncio

import pytest

from core.side_by_side import SIDE_BY_SIDE
from core.store import Store, duties, open_store
from core.store.turns import Lease


def lease(owner: str, now: float, until: float) -> Lease:
    return Lease(owner=owner, now=now, until=until)


async def test_a_duty_is_taken_renewed_and_lost(store: Store) -> None:
    """Another gateway gets it at the end of the lease, which the owner has put off by renewing it; then it is lost."""
    assert await store.run(duties.take, "watch", lease("a", 1.0, 7.0))
    assert not await store.run(duties.take, "watch", lease("b", 3.0, 9.0))
    assert await store.run(duties.take, "watch", lease("a", 3.0, 9.0))
    assert not await store.run(duties.take, "watch", lease("b", 8.9, 15.0))
    assert await store.run(duties.take, "watch", lease("b", 9.0, 15.0))
    assert not await store.run(duties.take, "watch", lease("a", 9.0, 15.0))


async def test_duties_are_apart(store: Store) -> None:
    """That one gateway has a duty says nothing of another duty."""
    assert await store.run(duties.take, "watch", lease("a", 1.0, 7.0))
    assert await store.run(duties.take, "post", lease("b", 1.0, 7.0))


async def test_an_owner_that_has_slept_goes_on_if_nobody_has_noticed(store: Store) -> None:
    """A lease that has ended can be renewed as long as no other gateway has taken the duty."""
    assert await store.run(duties.take, "watch", lease("a", 1.0, 7.0))
    assert await store.run(duties.take, "watch", lease("a", 99.0, 105.0))
    assert not await store.run(duties.take, "watch", lease("b", 100.0, 106.0))


async def test_a_released_duty_is_free_at_once(store: Store) -> None:
    """Its owner alone can release it."""
    await store.run(duties.take, "watch", lease("a", 1.0, 7.0))
    await store.run(duties.release, "watch", "b")
    assert not await store.run(duties.take, "watch", lease("b", 2.0, 8.0))
    await store.run(duties.release, "watch", "a")
    assert await store.run(duties.take, "watch", lease("b", 2.0, 8.0))


async def test_a_lease_of_the_future_ends_at_once(store: Store) -> None:
    """If the server's clock was set back by an hour, nobody waits for an hour."""
    await store.run(duties.take, "watch", lease("a", 3_600.0, 3_606.0))
    assert await store.run(duties.take, "watch", lease("b", 1.0, 7.0))


async def test_a_clock_that_is_a_little_behind_takes_nothing(store: Store) -> None:
    """A gateway may have read its clock before the owner has renewed its lease, and then have waited for a lock."""
    await store.run(duties.take, "watch", lease("a", 10.0, 16.0))
    for late in (0.001, 5.0):
        assert not await store.run(duties.take, "watch", lease("b", 10.0 - late, 16.0 - late))


@pytest.mark.parametrize("before", ["", "a"])
async def test_of_two_that_take_a_duty_at_once_one_gets_it(empty_postgresql: str, before: str) -> None:
    """Whether it is new or its lease has ended."""
    async with (
        open_store(empty_postgresql, beside=SIDE_BY_SIDE) as one,
        open_store(empty_postgresql, beside=SIDE_BY_SIDE) as other,
    ):
        for number in range(20):
            if before:
                await one.run(duties.take, f"{number}", lease(before, 1.0, 2.0))
            tries = [store.run(duties.take, f"{number}", lease(f"{store}", 3.0, 9.0)) for store in (one, other)]
            assert sorted(await asyncio.gather(*tries)) == [False, True]
