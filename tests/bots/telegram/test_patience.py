"""How the bot waits for a Telegram that does not answer."""

import asyncio

import pytest
from telegram.error import Conflict, InvalidToken, NetworkError, TelegramError

from bots.telegram.patience import RARELY, Patience
from core.clock import ManualClock


async def pauses(error: TelegramError, times: int, clock: ManualClock, patience: Patience) -> list[float]:
    """How long it waits between calls that all fail; then one succeeds."""
    left = times

    async def call() -> str:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return "heard"

    task = asyncio.create_task(patience.persist(call))
    found = []
    for _ in range(times):
        found += await clock.until_sleeping()
        assert not patience.health().connected
        clock.advance(found[-1])
        await asyncio.sleep(0)
    assert await task == "heard"
    return found


async def test_it_waits_longer_each_time() -> None:
    """Up to half a minute; after a success it begins anew."""
    clock = ManualClock()
    patience = Patience(clock)
    assert await pauses(NetworkError("down"), 8, clock, patience) == [1, 2, 4, 8, 15, 30, 30, 30]
    assert patience.health().connected
    assert await pauses(Conflict("two"), 2, clock, patience) == [1, 2]


async def test_a_token_that_stays_refused_is_tried_rarely() -> None:
    """Ten minutes after the first 401 the bot goes on asking, every five minutes, and no reply of health is good."""
    clock = ManualClock()
    waited = await pauses(InvalidToken("secret"), 30, clock, Patience(clock))
    slow = waited.index(RARELY)
    assert sum(waited[:slow]) >= 600
    assert set(waited[slow:]) == {RARELY}


async def test_what_is_not_telegram_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A proxy's answer in another shape is a failure like any other, and errors are not quoted."""
    clock = ManualClock()
    patience = Patience(clock)
    assert patience.health().heard_at is None
    for oddity in (KeyError("result"), TypeError("list")):
        assert await pauses(oddity, 1, clock, patience) == [1]  # type: ignore[arg-type]
    await pauses(InvalidToken("123:canary"), 1, clock, patience)
    assert "canary" not in capsys.readouterr().out
    assert patience.health().heard_at == clock.monotonic()
