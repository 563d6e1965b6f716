"""Two gateways with a connection each, on one PostgreSQL database: each event of Slack is answered once."""

from collections import Counter
from contextlib import AsyncExitStack

import pytest
import sqlalchemy as sa

from tests.bots.slack.conftest import Open
from tests.fakes.slack.client import FakeSlack

MANY = 6


@pytest.mark.timeout(60)
async def test_each_event_is_answered_once(open_gateway: Open, slack: FakeSlack, empty_postgresql: str) -> None:
    """Also if the connections end in the middle, so that Slack sends to one gateway what the other may have taken."""
    async with AsyncExitStack() as stack:
        gateways = [await stack.enter_async_context(open_gateway(database=empty_postgresql)) for _ in range(2)]
        await slack.until(lambda state: state.sockets == 2)
        for number in range(MANY):
            await slack.say(f"hello {number}", channel=f"D{1 + number % 2}", user=f"U{number}")
            if number == MANY // 2:
                await slack.pull("drop", how="cut")
                await gateways[0].until(lambda state: state.sockets == 2, step=5.0)
        expected = [f"I heard: hello {number} 😐" for number in range(MANY)]
        await gateways[0].until(lambda state: not state.unacknowledged(), step=5.0)
        state = await gateways[0].until(
            lambda state: sorted(one["text"] for one in state.bubbles()) == expected, step=5.0
        )
        assert any(sending["attempts"] > 1 for sending in state.sendings.values())
        stored = await gateways[0].store.read(lambda c: c.scalars(sa.text("SELECT text FROM turns")).all())
        assert Counter(stored) == Counter(f"hello {number}" for number in range(MANY))
