import asyncio

import pytest

from core.clock import Clock, ManualClock, SystemClock


async def sleep_and_note(clock: Clock, seconds: float, woken: list[float]) -> None:
    await clock.sleep(seconds)
    woken.append(seconds)


async def test_sleepers_wake_in_the_order_of_their_time() -> None:
    """One step past several deadlines wakes the sleepers in the order of their deadlines."""
    clock, woken = ManualClock(), list[float]()
    async with asyncio.TaskGroup() as tasks:
        for seconds in (3.0, 1.0, 2.0):
            tasks.create_task(sleep_and_note(clock, seconds, woken))
        assert await clock.until_sleeping(3) == [1.0, 2.0, 3.0]
        clock.advance(10)
    assert woken == [1.0, 2.0, 3.0]


async def test_sleepers_do_not_wake_early() -> None:
    """A sleeper does not wake before its deadline."""
    clock, woken = ManualClock(), list[float]()
    sleeper = asyncio.create_task(sleep_and_note(clock, 2.0, woken))
    await clock.until_sleeping()
    clock.advance(1.5)
    assert await clock.until_sleeping() == [0.5]
    clock.advance(0.5)
    await sleeper
    assert woken == [2.0]


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    """A cancelled sleeper is not woken by a later step."""
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(5))
    await clock.until_sleeping()
    sleeper.cancel()
    await asyncio.wait([sleeper])
    assert await clock.until_sleeping(0) == []
    clock.advance(5)


async def test_zero_seconds_do_not_wait() -> None:
    """A sleep of zero or less returns without an advance of the clock."""
    clock = ManualClock()
    await clock.sleep(0)
    await clock.sleep(-1)


async def test_tenths_add_up() -> None:
    """Steps of a tenth add up to a sleeper's deadline despite binary rounding."""
    clock, woken = ManualClock(), list[float]()
    sleeper = asyncio.create_task(sleep_and_note(clock, 0.3, woken))
    for _ in range(3):
        await clock.until_sleeping()
        clock.advance(0.1)
    await sleeper
    assert clock.monotonic() == 0.3


def test_a_jump_moves_the_wall_clock_only() -> None:
    """A jump of the wall clock changes `now` and not `monotonic`."""
    clock = ManualClock(epoch=100.0)
    clock.advance(5)
    clock.jump(-60)
    assert (clock.now(), clock.monotonic()) == (45.0, 5.0)


async def test_timeout_ends_the_body_when_the_clock_says_so() -> None:
    """A body that exceeds its timeout is cancelled, and the caller gets TimeoutError."""
    clock = ManualClock()

    async def wait_long() -> None:
        async with clock.timeout(3):
            await asyncio.Event().wait()

    body = asyncio.create_task(wait_long())
    assert await clock.until_sleeping() == [3.0]
    clock.advance(3)
    with pytest.raises(TimeoutError):
        await body


async def test_timeout_leaves_a_quick_body_alone() -> None:
    """A body that ends in time leaves no timer behind, and its own error is not changed."""
    clock = ManualClock()
    async with clock.timeout(3):
        await asyncio.sleep(0)
    with pytest.raises(KeyError):
        async with clock.timeout(3):
            raise KeyError
    assert await clock.until_sleeping(0) == []


async def test_the_system_clock_keeps_the_protocol() -> None:
    """SystemClock satisfies `Clock`, and its monotonic time never goes back."""
    clock: Clock = SystemClock()
    before = clock.monotonic()
    async with clock.timeout(60):
        await clock.sleep(0)
    assert clock.monotonic() >= before
    assert clock.now() > 1_750_000_000
