"""kill -9 at every step of a hand-off, on both platforms and between them."""

import asyncio
import os
import random
import re
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from bots.telegram.opening import MORE
from core.store import open_store
from tests.bots.desk import ANN, CUE, GROUP, OnSlack, OnTelegram, Platform, Shown, Side, desk_of, now_on_slack
from tests.bots.gateway import Plan
from tests.bots.lives import SEEDS, Lives
from tests.fakes.slack.client import FakeSlack
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN
from tests.fakes.telegram.control import Account
from tests.faults.fork_server import ForkServer
from tests.ports import free_port

HEARING = ("accept", "overhear")
VERBS = ("claim_answered", "set_handle", "mark_delivered")
PASSING_ON = tuple(f"{verb} {moment}" for verb in (*HEARING, *VERBS) for moment in ("uncommitted", "committed"))
"""Where the gateway kills itself while words are passed on, in both directions."""
ASKING = tuple(f"{verb} {moment}" for verb in ("ask", "set_thread", *VERBS) for moment in ("uncommitted", "committed"))
PAIRS: list[tuple[Platform, Platform]] = [
    (customer, operators) for customer in ("telegram", "slack") for operators in ("telegram", "slack")
]
ID = re.compile(r"[\d.]+")


def whole(found: Sequence[Shown]) -> list[Shown]:
    """The messages without beginnings that a kill left behind between a post and its commit."""
    return [one for one in found if not one.text.endswith(MORE)]


def lives(points: Sequence[str]) -> list[object]:
    """Each third point once by default, by alternating pairs of platforms; the others take minutes."""
    return [
        pytest.param(
            point,
            pair,
            seed,
            marks=() if number % 3 == 0 and (number % len(PAIRS), 0) == (way, seed) else pytest.mark.long,
        )
        for number, point in enumerate(points)
        for way, pair in enumerate(PAIRS)
        for seed in range(SEEDS)
    ]


class Case(Lives[tuple[str, str]]):
    """A conversation whose customer and operator write while the bot is down."""

    def __init__(
        self,
        account: Account,
        slack: FakeSlack,
        pair: tuple[Platform, Platform],
        *,
        fork_server: ForkServer,
        folder: Path,
        database: str,
        chance: random.Random,
    ) -> None:
        settings = {
            "telegram": {"token": account.token, "base_url": account.base_url},
            "slack": {"bot_token": BOT_TOKEN, "app_token": APP_TOKEN, "base_url": f"{slack.url}/api"},
        }
        customer, operators = pair
        plan = Plan(
            platform=customer,
            settings=settings[customer],
            others={operators: settings[operators]} if operators != customer else {},
            desk=str(desk_of(operators, account.id).place),
            port=free_port(),
            database=database,
        )
        super().__init__(words=(), plan=plan, fork_server=fork_server, log=folder / "log")
        sides: dict[str, Side] = {"telegram": OnTelegram(account), "slack": OnSlack(slack)}
        self.customer, self.operators = sides[customer], sides[operators]
        self.thread = ""
        self.asked: list[str] = []
        self.answered: list[str] = []
        self._chance = chance
        self._slack = slack
        self._telegram = sides["telegram"]

    async def prepare(self) -> None:
        assert isinstance(self._telegram, OnTelegram)
        await self._telegram.prepare()
        await now_on_slack(self._slack)

    async def take_over(self) -> None:
        """A life in which the customer asks for a person, and an operator takes over."""
        pid = await self.start()
        await self.customer.say(CUE, "a person please")
        summary = await self.summary()
        self.thread = summary.thread
        await self.operators.press(ANN, summary, "take")
        await self.customer.until_shown("You are talking with a person now", at_desk=False)
        await self.operators.until(lambda all_: "has taken over" in "".join(one.text for one in all_), at_desk=True)
        os.kill(pid, signal.SIGTERM)
        assert await self._fork_server.wait(pid) == 0, self._log.read_text()

    async def summary(self) -> Shown:
        found = await self.operators.until(lambda all_: [one for one in all_ if one.buttons], at_desk=True)
        return next(one for one in found if one.buttons)

    async def write(self) -> None:
        """Both sides write several messages, some of them in several sentences."""
        for number in range(self._chance.randint(2, 4)):
            more = " And one more sentence, which is longer." * self._chance.randint(0, 1)
            self.asked.append(f"question number {number} of the customer.{more}")
            self.answered.append(f"answer number {number} of the person.{more}")
            await self.customer.say(CUE, self.asked[-1])
            await self.operators.say(ANN, self.answered[-1], thread=self.thread)

    async def until_settled(self) -> None:
        await self.operators.until(lambda all_: {*self.asked} <= {one.text for one in all_}, at_desk=True)
        await self.customer.until(lambda all_: {*self.answered} <= {one.text for one in all_}, at_desk=False)
        async with open_store(self.plan.database) as store:
            while await store.run(lambda c: c.scalar(sa.text("SELECT count(*) FROM turns WHERE state != 'delivered'"))):
                await asyncio.sleep(0.05)

    async def unsaved(self, handles: Sequence[str]) -> set[tuple[str, str]]:
        async with open_store(self.plan.database) as store:
            threads = await store.run(lambda c: c.scalars(sa.text("SELECT thread FROM handoffs")).all())
        desk = (*threads, *(text for text in handles if not text.startswith(f"{CUE}:")))
        customers = [text for text in handles if not text.startswith(f"{GROUP}:")]
        kept = {"operators": {*ID.findall(" ".join(desk))}, "customer": {*ID.findall(" ".join(customers))}}
        return {
            (side, one.id)
            for side, all_ in (await self.everything()).items()
            for one in all_
            if one.id not in kept[side]
        }

    async def everything(self) -> dict[str, list[Shown]]:
        return {
            "customer": await self.customer.seen(at_desk=False),
            "operators": await self.operators.seen(at_desk=True),
        }

    def evidence(self, found: Sequence[Shown]) -> str:
        """What tells how a message came to be shown twice: the ids of the messages, and the log of all lives."""
        return "\n".join([*map(str, found), self._log.read_text()])

    async def check_words(self) -> None:
        """Each message is once in the history, and shown once on the other side, in the order in which it was accepted:
        Slack may send what was written while the bot was down in another one.
        """
        async with open_store(self.plan.database) as store:
            query = "SELECT reply FROM turns WHERE remembered ORDER BY id"
            kept = list(await store.run(lambda c: c.scalars(sa.text(query)).all()))
        assert Counter(kept) == Counter([*self.asked, *self.answered])
        now = await self.everything()
        for side, words in (("operators", self.asked), ("customer", self.answered)):
            found = [one for one in now[side] if one.text in words]
            assert [one.text for one in found] == [text for text in kept if text in words], self.evidence(found)
            orphans = {(side, one.id) for one in now[side] if one.text.endswith(MORE)}
            assert orphans <= self._unsaved


@pytest.mark.parametrize(("point", "pair", "seed"), lives(PASSING_ON))
async def test_words_are_passed_on_once(  # noqa: PLR0913  most are fixtures
    account: Account,
    slack: FakeSlack,
    fork_server: ForkServer,
    tmp_path: Path,
    database: str,
    *,
    point: str,
    pair: tuple[Platform, Platform],
    seed: int,
) -> None:
    """After a kill and a restart each word of customer and owner has reached the other side once, in order."""
    chance = random.Random(f"{point} {pair} {seed}")
    case = Case(account, slack, pair, fork_server=fork_server, folder=tmp_path, database=database, chance=chance)
    await case.prepare()
    await case.take_over()
    await case.write()
    times = len(case.asked) if point.split(maxsplit=1)[0] in HEARING else 2 * len(case.asked)
    pid = await case.start(point, chance.randint(1, times))
    await case.until_killed(pid)
    await case.live()
    await case.check_words()


@pytest.mark.parametrize(("point", "pair", "seed"), lives(ASKING))
async def test_a_person_is_asked_for_once(  # noqa: PLR0913  most are fixtures
    account: Account,
    slack: FakeSlack,
    fork_server: ForkServer,
    tmp_path: Path,
    database: str,
    *,
    point: str,
    pair: tuple[Platform, Platform],
    seed: int,
) -> None:
    """After a kill and a restart there is one hand-off, of which the operators are told once, in its thread."""
    chance = random.Random(f"{point} {pair} {seed}")
    case = Case(account, slack, pair, fork_server=fork_server, folder=tmp_path, database=database, chance=chance)
    await case.prepare()
    await case.customer.say(CUE, "a person please")
    pid = await case.start(point)
    await case.until_killed(pid)
    pid = await case.start()
    summary = await case.summary()
    await case.customer.until_shown("I have asked a person", at_desk=False)
    await case.until_settled()
    os.kill(pid, signal.SIGTERM)
    assert await fork_server.wait(pid) == 0
    async with open_store(case.plan.database) as store:
        (thread,) = await store.run(lambda c: c.scalars(sa.text("SELECT thread FROM handoffs")).all())
    now = await case.everything()
    assert [one.thread for one in now["operators"] if one.buttons] == [summary.thread] == [thread]
    assert len([one for one in whole(now["customer"]) if one.text.startswith("I have asked")]) == 1


@pytest.mark.parametrize("point", ["carry_out uncommitted", "carry_out committed"])
async def test_taking_over_is_done_once(
    account: Account, slack: FakeSlack, fork_server: ForkServer, tmp_path: Path, database: str, point: str
) -> None:
    """A press that kills the bot is delivered again: there is one owner, and the customer is told once."""
    case = Case(
        account,
        slack,
        ("slack", "telegram"),
        fork_server=fork_server,
        folder=tmp_path,
        database=database,
        chance=random.Random(point),
    )
    await case.prepare()
    await case.customer.say(CUE, "a person please")
    pid = await case.start(point)
    await case.operators.press(ANN, await case.summary(), "take")
    await case.until_killed(pid)
    pid = await case.start()
    await case.customer.until_shown("You are talking with a person now", at_desk=False)
    await case.until_settled()
    os.kill(pid, signal.SIGTERM)
    assert await fork_server.wait(pid) == 0
    now = await case.everything()
    assert len([one for one in whole(now["customer"]) if one.text.startswith("You are talking")]) == 1
    assert len([one for one in whole(now["operators"]) if "has taken over" in one.text]) == 1
