"""The rate limit of outgoing calls, on a manual clock."""

import asyncio

import pytest

from bots.telegram.budget import MAX_CHATS, Budget
from core.clock import ManualClock
from core.errors import RateLimited
from tests.fakes.telegram.limits import FloodControl


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.mark.parametrize("chats", [[5], [-5], list(range(1, 200)), [-1, -2, 3, 4]])
async def test_rate_limits_are_kept(clock: ManualClock, chats: list[int]) -> None:
    """All calls that the budget allows, over minutes, stay within 30/s, 1/s per chat and 20/min per group."""
    budget, flood_control = Budget(clock), FloodControl(clock.now)
    for _ in range(3000):
        for chat in chats:
            if budget.try_take(chat, leave=0):
                assert flood_control.charge(chat) == 0
        clock.advance(0.05)


async def test_a_slow_network_breaks_no_limit(clock: ManualClock) -> None:
    """Calls that the network delays by a fifth of a second, and that arrive with later ones, break no limit."""
    budget, flood_control = Budget(clock), FloodControl(clock.now)
    for _ in range(20):
        held: list[int] = []
        for tick in range(40):
            sent = [chat for chat in range(-3, 60) if budget.try_take(chat, leave=0)]
            held += sent
            if tick >= 4:
                assert [flood_control.charge(chat) for chat in held] == [0] * len(held)
                held = []
            clock.advance(0.05)
        clock.advance(2)


async def test_previews_leave_room_for_the_reply(clock: ManualClock) -> None:
    """Previews stop while the budget still has room for a reply."""
    budget = Budget(clock)
    while budget.try_take(5, leave=2):
        pass
    await asyncio.wait_for(budget.take(5), 1)
    await asyncio.wait_for(budget.take(5), 1)
    assert not budget.try_take(5, leave=0)


async def test_a_reply_waits_its_turn(clock: ManualClock) -> None:
    """Beyond the burst, replies go out at one per second, in order."""
    budget = Budget(clock)
    for _ in range(4):
        await budget.take(5)
    waiting = asyncio.create_task(budget.take(5))
    assert await clock.until_sleeping() == [1.0]
    clock.advance(1)
    await waiting


async def test_a_long_wait_is_left_to_the_worker(clock: ManualClock) -> None:
    """A wait that is too long raises RateLimited with its seconds, and spends nothing."""
    budget = Budget(clock)
    for _ in range(4):
        await budget.take(-5)
    budget._spent[-5] += 60
    with pytest.raises(RateLimited) as caught:
        await budget.take(-5)
    assert caught.value.retry_after == 64
    with pytest.raises(RateLimited) as again:
        await budget.take(-5)
    assert again.value.retry_after == 64


async def test_a_pause_applies_to_one_chat(clock: ManualClock) -> None:
    """A pause applies to one chat, until it is over."""
    budget = Budget(clock)
    budget.pause(5, 137)
    assert not budget.try_take(5, leave=0)
    with pytest.raises(RateLimited):
        await budget.take(5)
    assert budget.try_take(6, leave=0)
    clock.advance(137)
    assert budget.try_take(5, leave=0)


async def test_chats_at_rest_are_forgotten(clock: ManualClock) -> None:
    """The memory for rate limits is bounded: chats without a pending wait are dropped."""
    budget = Budget(clock)
    for chat in range(1, MAX_CHATS + 10):
        budget.try_take(chat, leave=0)
        clock.advance(0.1)
    assert len(budget._spent) < 1000
