"""Many messages at once while Slack misbehaves: each is answered once, in order, in its thread."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from tests.bots.slack.conftest import Gateway, Open
from tests.fakes.slack.client import FakeSlack, State

HOUR = 3600.0
KINDS = ("ratelimited", "unavailable", "lost", "cut", "error")
TURNS = "SELECT count(*) FROM turns"
OPEN = f"{TURNS} WHERE state <> 'delivered'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """`threads` in each of two direct messages and two channels, `each` messages in every thread."""

    threads: int
    each: int

    @property
    def count(self) -> int:
        return 4 * self.threads * self.each

    async def write(self, gateway: Gateway, slack: FakeSlack) -> dict[str, list[str]]:
        """Have people write one message per thread, then the next ones, once the gateway has accepted the earlier ones;
        what they wrote, by thread.
        """
        roots: dict[tuple[str, int], str] = {}
        words: dict[str, list[str]] = {}
        for number in range(self.each):
            for channel in ("D1", "D2", "C1", "C2"):
                for thread in range(self.threads):
                    text = f"{channel}t{thread}m{number}"
                    root = {"thread_ts": roots[channel, thread]} if number else {}
                    ts = await slack.mention(text, channel=channel, user=f"U{channel}{thread}", **root)
                    words.setdefault(roots.setdefault((channel, thread), ts), []).append(text)
            while await count(gateway, TURNS) < len(roots) * (number + 1):
                pass
        return words


SIZES = [
    pytest.param(Backlog(threads=2, each=3), id="few"),
    pytest.param(Backlog(threads=25, each=5), id="many", marks=pytest.mark.long),
]


@asynccontextmanager
async def written(open_gateway: Open, slack: FakeSlack, backlog: Backlog) -> AsyncIterator[Gateway]:
    """A gateway that has accepted the whole backlog. On leaving, every message must be answered once and in order."""
    async with open_gateway() as gateway:
        words = await backlog.write(gateway, slack)
        yield gateway
        while await count(gateway, OPEN):
            await gateway.advance(1)
    check(await slack.state(), words)


async def count(gateway: Gateway, query: str) -> int:
    return await gateway.store.run(lambda c: int(c.scalar(sa.text(query)) or 0))


def check(state: State, words: dict[str, list[str]]) -> None:
    for thread, said in words.items():
        found = [bubble["text"] for bubble in state.bubbles() if bubble["thread_ts"] == thread]
        assert found == [f"I heard: {text} 😐" for text in said]
    assert not state.unacknowledged()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backlog", SIZES)
async def test_a_backlog_is_worked_off_under_the_limits(open_gateway: Open, slack: FakeSlack, backlog: Backlog) -> None:
    """With Slack's rate limits enforced every answer arrives: 429s are waited out."""
    await slack.pull("rules", limited=True)
    async with written(open_gateway, slack, backlog):
        pass


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backlog", SIZES)
async def test_final_answers_arrive_through_everything(open_gateway: Open, slack: FakeSlack, backlog: Backlog) -> None:
    """Answers survive repeated waits of 137 seconds, 5xx, lost responses and cut sockets."""
    for number in range(backlog.count // 2):
        method = ("chat.postMessage", "chat.update")[number % 2]
        trouble = {"method": method, "kind": KINDS[number % 5], "skip": 1 + number // 3, "retry_after": 137}
        await slack.pull("fault", error="internal_error", **trouble)
    async with written(open_gateway, slack, backlog) as gateway:
        for _ in range(5):
            await gateway.advance(1)
            await slack.pull("drop", how="cut")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backlog", SIZES)
async def test_an_hour_of_outage_delays_and_loses_nothing(
    open_gateway: Open, slack: FakeSlack, backlog: Backlog
) -> None:
    """Slack's API fails for an hour while some messages wait for an answer; they are answered after it."""
    async with written(open_gateway, slack, backlog) as gateway:
        await slack.pull("fault", method="*", kind="unavailable", times=-1)
        for _ in range(12):
            await gateway.advance(HOUR / 12)
        assert await count(gateway, OPEN) > 0
        await slack.pull("mend")
