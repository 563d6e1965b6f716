"""Many messages at once while Telegram misbehaves: each is answered once, in order, within the rate limits."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from core.clock import ManualClock
from tests.bots.telegram.conftest import echo, open_gateway, rows
from tests.bots.telegram.stillness import Stillness, open_turns
from tests.fakes.telegram.control import Account, make_account, run_telegram, shown
from tests.fakes.telegram.journal import Entry
from tests.fakes.telegram.world import Json

HOUR = 3600.0
TELLING = ("sendMessage", "editMessageText")
TROUBLES: tuple[Json, ...] = (
    {"kind": "error", "retry_after": 137},
    {"kind": "error", "status": 500},
    {"kind": "lost"},
    {"kind": "cut"},
    {"kind": "error", "status": 502},
)
AWAY: Json = {"method": "*", "kind": "error", "status": 502, "times": -1}
"""Telegram answers nothing but that it is not there."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with run_telegram(speed=0) as found:
        yield found


@pytest.fixture
async def account(address: str) -> AsyncIterator[Account]:
    async with make_account(address) as made:
        yield made


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The number of messages in a number of chats of each kind."""

    people: int
    each: int
    groups: int
    in_each: int

    def words(self) -> dict[int, list[str]]:
        """What people write in each chat, in order."""
        sizes = {number + 1: self.each for number in range(self.people)}
        sizes |= {-100 - number: self.in_each for number in range(self.groups)}
        return {chat: [f"c{abs(chat)}m{number}" for number in range(size)] for chat, size in sizes.items()}

    async def write(self, account: Account) -> int:
        """Have people write one message per chat, then the next ones; the number of messages."""
        words = self.words()
        for number in range(max(self.each, self.in_each)):
            for chat, said in words.items():
                place = {} if chat > 0 else {"chat": {"id": chat, "type": "supergroup", "title": "g"}}
                name = "" if chat > 0 else f"@{account.username} "
                if number < len(said):
                    await account.say(name + said[number], person=chat if chat > 0 else 1_000 + number, **place)
        return sum(map(len, words.values()))


FEW = Backlog(people=6, each=4, groups=1, in_each=11)
"""A group's eleven placeholders and answers exceed its rate limit of a minute."""
MANY = Backlog(people=80, each=6, groups=2, in_each=15)
"""510 messages."""
SIZES = [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.long)]


@asynccontextmanager
async def opened(account: Account) -> AsyncIterator[Stillness]:
    clock = ManualClock()
    async with open_gateway(account, echo(), slots=4, clock=clock) as gateway:
        yield Stillness(account=account, gateway=gateway, clock=clock)


def said(journal: list[Entry], chat: int) -> list[str]:
    """The final texts of the bot's messages in a chat, in the order of their last edits."""
    last = {entry["message"]: (at, entry["text"]) for at, entry in enumerate(shown(journal, chat))}
    return [text.removeprefix("you said ").removesuffix(" 😐") for _, text in sorted(last.values())]


def check(journal: list[Entry], backlog: Backlog) -> None:
    """Assert that everything was answered once and in order, that no rate limit was hit, and that the only beginnings
    and placeholders left are those whose posting Telegram did not confirm.
    """
    for chat, words in backlog.words().items():
        assert [text for text in said(journal, chat) if not text.endswith("…")] == words
    assert [entry for entry in journal if entry["do"] == "flood"] == []
    lost = [e for e in journal if e["do"] == "call" and e["method"] == "sendMessage" and e["fault"] == "lost"]
    bubbles = [text for chat in backlog.words() for text in said(journal, chat)]
    assert sum(text.endswith("…") for text in bubbles) <= len(lost)


async def answered(still: Stillness, count: int) -> bool:
    """Whether all messages were accepted and their answers are shown."""
    return await taken_in(still, count) and not await open_turns(still.gateway)


async def taken_in(still: Stillness, count: int) -> bool:
    return len(await rows(still.gateway, "SELECT id FROM turns")) == count


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backlog", SIZES)
async def test_a_backlog_is_worked_off_within_the_limits(account: Account, backlog: Backlog) -> None:
    """A backlog is answered within Telegram's rate limits: 30 calls a second, one a second in a chat, 20 a minute in a
    group, with placeholders, edits and typing counted together.
    """
    count = await backlog.write(account)
    async with opened(account) as still:
        await still.until(lambda: answered(still, count))
    check(await account.journal(), backlog)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backlog", SIZES)
async def test_final_answers_arrive_through_everything(account: Account, backlog: Backlog) -> None:
    """Answers survive repeated waits of 137 seconds, 5xx, lost responses and cut sockets."""
    count = await backlog.write(account)
    troubles = [{**TROUBLES[n % 5], "method": TELLING[n % 2], "skip": 1 + n // 3} for n in range(count // 2)]
    await account.faults(*troubles)
    async with opened(account) as still:
        await still.until(lambda: answered(still, count))
    journal = await account.journal()
    met = {entry["fault"] for entry in journal if entry["do"] == "call"}
    assert met == {"", "error", "lost", "cut"}
    check(journal, backlog)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("backlog", SIZES)
async def test_an_hour_of_outage_delays_and_loses_nothing(account: Account, backlog: Backlog) -> None:
    """Telegram fails for an hour while some messages wait for an answer; they are answered after it."""
    count = await backlog.write(account)
    async with opened(account) as still:
        await still.until(lambda: taken_in(still, count))
        await account.faults(AWAY)
        for _ in range(6):
            await still.quiet()
            await still.pass_by(HOUR / 6)
        await still.quiet()
        assert await open_turns(still.gateway) > 0
        await account.faults()
        await still.until(lambda: answered(still, count))
    check(await account.journal(), backlog)
