"""How the bot waits for a platform that does not answer."""

import asyncio
from itertools import cycle

import pytest
from structlog.testing import capture_logs

from bots.connection import REFUSED_FOR, Connection
from core.backoff import Backoff
from core.clock import ManualClock
from core.errors import ConfigError, DeliveryFailed, DeliveryRejected, RateLimited, StoreError, TokenRefused

DOWN = DeliveryFailed(retry_after=5, reason="NetworkError")
REFUSED = TokenRefused(retry_after=60, reason="the token is not accepted")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def connection(clock: ManualClock) -> Connection:
    return Connection("telegram", clock, Backoff(first=1, longest=30))


async def pauses(
    error: DeliveryFailed | DeliveryRejected, times: int, clock: ManualClock, connection: Connection
) -> list[float]:
    """How long it waits between calls that all fail; then one succeeds."""
    left = times

    async def call() -> str:
        nonlocal left
        left -= 1
        if left >= 0:
            raise error
        return "heard"

    task = asyncio.create_task(connection.persist(call))
    found: list[float] = []
    for _ in range(times):
        found += await clock.until_sleeping()
        assert not connection.health().connected
        clock.advance(found[-1])
        await asyncio.sleep(0)
    assert await task == "heard"
    return found


async def test_it_waits_longer_each_time(clock: ManualClock, connection: Connection) -> None:
    """Up to half a minute; after a success it begins anew."""
    assert await pauses(DOWN, 8, clock, connection) == [1, 2, 4, 8, 16, 30, 30, 30]
    assert connection.health().connected
    assert await pauses(DOWN, 2, clock, connection) == [1, 2]


async def test_a_token_that_stays_refused_is_given_up(clock: ManualClock, connection: Connection) -> None:
    """After ten minutes of refusals the call ends with the error, and health stays bad."""

    async def call() -> None:
        raise REFUSED

    task = asyncio.create_task(connection.persist(call))
    while not task.done():
        clock.advance(1)
        await asyncio.sleep(0)
    with pytest.raises(TokenRefused):
        await task
    assert REFUSED_FOR <= clock.monotonic() < REFUSED_FOR + 40
    assert not connection.health().connected


async def test_another_failure_begins_the_ten_minutes_anew(clock: ManualClock, connection: Connection) -> None:
    """A token that a proxy refuses between other failures is not given up."""
    errors = cycle([*[REFUSED] * 15, DOWN])

    async def call() -> None:
        raise next(errors)

    task = asyncio.create_task(connection.persist(call))
    for _ in range(2 * int(REFUSED_FOR)):
        clock.advance(1)
        await asyncio.sleep(0)
    assert not task.done()
    task.cancel()


async def test_a_refused_setting_ends_the_call(clock: ManualClock, connection: Connection) -> None:
    """A ConfigError is raised at once, and health says that the platform is not connected."""
    await pauses(DOWN, 1, clock, connection)

    async def call() -> None:
        raise ConfigError("slack.bot_token", "Slack says token_revoked")

    with pytest.raises(ConfigError):
        await connection.persist(call)
    assert not connection.health().connected


async def test_a_rate_limit_is_waited_out(clock: ManualClock, connection: Connection) -> None:
    """The platform's own wait counts if it is longer than the back-off."""
    assert await pauses(RateLimited(retry_after=40), 2, clock, connection) == [40, 40]
    assert await pauses(RateLimited(retry_after=0.5), 2, clock, connection) == [1, 2]


async def test_a_refusal_is_repeated_like_a_failure(clock: ManualClock, connection: Connection) -> None:
    """The start of a front end does not end with one bad request: what refused it may be a proxy."""
    assert await pauses(DeliveryRejected("Bad Request"), 2, clock, connection) == [1, 2]


async def test_health_says_when_the_platform_was_heard(clock: ManualClock, connection: Connection) -> None:
    """Any answered call counts as heard; only the calls that are repeated decide whether it is connected."""
    assert connection.health().heard_at is None
    await pauses(DOWN, 1, clock, connection)
    assert connection.health().heard_at == clock.monotonic()
    clock.advance(9)
    connection.heard()
    assert connection.health().heard_at == clock.monotonic()


async def test_update_that_raises_is_skipped_and_counted(connection: Connection) -> None:
    """What an update raises is logged without its message, and counted for health; errors that may pass do."""
    with capture_logs() as logs, connection.skipping(StoreError):
        raise KeyError("a person's words")
    with pytest.raises(StoreError), connection.skipping(StoreError):
        raise StoreError
    assert connection.health().skipped == 1
    assert "words" not in str(logs)


async def test_call_that_raises_unexpectedly_is_repeated(clock: ManualClock, connection: Connection) -> None:
    """An error of no kind that is known is a failure of the call like others."""
    failures = [KeyError()]

    async def call() -> str:
        if failures:
            raise failures.pop()
        return "answer"

    answer = asyncio.create_task(connection.persist(call))
    assert await clock.until_sleeping() == [1]
    clock.advance(1)
    assert await answer == "answer"
