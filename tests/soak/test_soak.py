"""The whole bot for hours: many people, outages and deaths. `make test-long ARGS=tests/soak SOAK_SECONDS=7200`."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from bots.slack.handle import Handle as SlackHandle
from bots.telegram.handle import Handle as TelegramHandle
from core.messages import ConversationKey
from core.store import open_store
from core.store.schema import turns
from tests.bots.gateway import Note
from tests.fakes.slack.client import State, fake_slack, fake_slack_process
from tests.fakes.telegram.clock import EPOCH
from tests.fakes.telegram.control import make_account, run_telegram
from tests.soak.bot import Bot, settings_for
from tests.soak.crowd import FIRST_PERSON, FORGETFUL, PEOPLE, Crowd, Tail
from tests.soak.measures import Sample, growth
from tests.soak.trouble import Trouble
from tests.soak.verdict import Place, Turn, judge

SECONDS = float(os.environ.get("SOAK_SECONDS", "7200"))
SEED = int(os.environ.get("SOAK_SEED", "1"))
PAUSE, SAMPLED_EVERY = 0.8, 5.0
"""Mean seconds between two deeds of the crowd, and between two samples."""
QUIET = 600.0
"""Seconds within which everything is answered once the crowd is silent."""
STORM, CALM = 0.1, 0.8
WARM_UP, MEASURABLE = 0.4, 600.0
"""The part of the calm that is not measured, and the seconds of the rest from which its slope says something."""
MEGABYTE = 1 << 20
MAX_GATEWAY, MAX_MODEL, MAX_WAL, MAX_GROWTH = 150 * MEGABYTE, 400 * MEGABYTE, 16 * MEGABYTE, 1.0 * MEGABYTE
BYTES_PER_TURN = 8_192
FORGETTERS = frozenset(str(FIRST_PERSON + number) for number in range(PEOPLE - FORGETFUL, PEOPLE))


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 1800)
@pytest.mark.parametrize("seconds", [60.0, SECONDS], ids=["a minute", "long"])
async def test_each_message_has_one_outcome_and_nothing_grows(
    tmp_path: Path, record_property: Note, seconds: float
) -> None:
    """Nothing is lost, doubled, told in the log or kept in memory: a tenth of the time with deaths, then calm, then as
    at first.
    """
    wal = Wal(tmp_path / "data" / "parley.db-wal")
    with run_telegram(tmp_path / "telegram") as address, fake_slack_process(tmp_path / "slack") as port:
        async with make_account(address) as telegram, fake_slack(port) as slack:
            await telegram.advance(time.time() - EPOCH)
            await slack.pull("advance", seconds=time.time() - (await slack_now(slack)))
            await slack.pull("insist", seconds=5)
            bot = Bot(folder=tmp_path, settings=settings_for(telegram, slack))
            crowd = Crowd(
                chance=random.Random(SEED),
                telegram=telegram,
                slack=slack,
                telegram_journal=Tail(tmp_path / "telegram"),
                slack_journal=Tail(tmp_path / "slack"),
            )
            trouble = Trouble(chance=random.Random(SEED + 1), telegram=telegram, slack=slack, bot=bot)
            pauses = random.Random(SEED + 2)
            try:
                await bot.start()
                async with asyncio.TaskGroup() as group:
                    for_slack = group.create_task(repeated(1.0, lambda: slack.pull("advance", seconds=1)))
                    sampling = group.create_task(repeated(SAMPLED_EVERY, lambda: sampled(bot, wal)))
                    writing = group.create_task(now_and_then(pauses, PAUSE, crowd.act))
                    failing = group.create_task(now_and_then(pauses, 20, trouble.outage))
                    await storm(trouble, STORM * seconds)
                    begun, calm = time.monotonic() + WARM_UP * CALM * seconds, bot.pid
                    await asyncio.sleep(CALM * seconds)
                    steady = {role: since(lives, begun) for role, lives in bot.lives.items()}
                    assert bot.pid == calm
                    await storm(trouble, STORM * seconds)
                    writing.cancel()
                    failing.cancel()
                    await trouble.recovery()
                    await until_answered(bot, telegram, slack)
                    for_slack.cancel()
                    sampling.cancel()
                await bot.end(signal.SIGTERM)
            finally:
                await bot.abandon()
            crowd.look()
    kept = await turns_of(bot.database)
    verdict = judge(
        crowd.said,
        [turn for turn, _ in kept],
        crowd.shown,
        forgetful=FORGETTERS,
        log=bot.log.read_text(),
        words=[*crowd.words, *(reply for _, reply in kept if len(reply) > len("a short answer"))],
    )
    told = {"said": len(crowd.said), "turns": len(kept), "deeds": crowd.done, "kills": bot.kills, "codes": bot.codes}
    told |= {"doubts": trouble.doubts, "orphans": len(verdict.orphans), "wal": wal.largest}
    told |= {f"{role} at most": peak(lives) for role, lives in bot.lives.items()}
    told |= {role: slopes(samples) for role, samples in steady.items()}
    told |= {"lives": {role: len(lives) for role, lives in bot.lives.items()}}
    told |= {"store": (tmp_path / "data" / "parley.db").stat().st_size}
    for name, value in told.items():
        record_property(name, value)
        print(name, value)
    assert (verdict.lost, verdict.doubled, verdict.faults, verdict.words) == ([], [], [], [])
    assert len(verdict.orphans) <= bot.kills + trouble.doubts
    assert set(bot.codes) == {0}
    assert wal.largest <= MAX_WAL
    assert told["store"] <= BYTES_PER_TURN * len(kept) + MEGABYTE
    assert told["gateway at most"] <= MAX_GATEWAY
    assert told["model at most"] <= MAX_MODEL
    if seconds * (1 - WARM_UP) * CALM >= MEASURABLE:
        for samples in steady.values():
            assert growth(samples, lambda one: one.memory) < MAX_GROWTH
            assert growth(samples, lambda one: one.files) < 1
            assert growth(samples, lambda one: one.threads) < 1


class Wal:
    """The largest size of the store's write-ahead log."""

    def __init__(self, path: Path) -> None:
        self.largest = 0
        self._path = path

    def sample(self) -> None:
        if self._path.exists():
            self.largest = max(self.largest, self._path.stat().st_size)


async def sampled(bot: Bot, wal: Wal) -> None:
    bot.sample()
    wal.sample()


async def slack_now(slack) -> float:
    from core.clock import ManualClock
    return ManualClock().now()


async def storm(trouble: Trouble, seconds: float) -> None:
    """Deaths at random moments."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(trouble.chance.uniform(0, min(25, seconds / 4)))
        await trouble.death()


async def repeated(seconds: float, deed: Callable[[], Awaitable[object]]) -> None:
    while True:
        await deed()
        await asyncio.sleep(seconds)


async def now_and_then(chance: random.Random, mean: float, deed: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(chance.expovariate(1 / mean))
        await deed()


async def until_answered(bot: Bot, telegram, slack) -> None:
    """Wait until the platforms have delivered everything and no turn is open."""
    async with asyncio.timeout(QUIET), open_store(bot.database) as store:
        while (await telegram.state())["pending"] or _has_unacknowledged(await slack.state()):
            await asyncio.sleep(2)
        while await store.read(lambda c: c.scalar(sa.select(sa.func.count()).where(turns.c.state != "delivered"))):
            await asyncio.sleep(1)


def _has_unacknowledged(state: State) -> bool:
    """Whether Slack still repeats an event. It repeats no gestures, such as a press during an outage."""
    return any(one["kind"] == "events_api" and not one["acknowledged"] for one in state.sendings.values())


async def turns_of(database: str) -> list[tuple[Turn, str]]:
    async with open_store(database) as store:
        rows = await store.run(lambda c: c.execute(sa.select(turns)).all())
    return [(_turn(row), row.reply or "") for row in rows]


def _turn(row: sa.Row) -> Turn:
    key = ConversationKey.parse(row.conversation)
    question = (key.platform, key.chat, row.reference.partition(":")[0] or f"turn {row.id}")
    return Turn(
        question=question, state=row.state, shown_by=_shown_by(key, row.handle), is_again=bool(row.again)
    )


def _shown_by(key: ConversationKey, handle: str) -> tuple[Place, ...]:
    if key.platform == "telegram":
        known = TelegramHandle.parse(handle)
        return tuple(("telegram", str(known.chat), str(one)) for one in known.ids) if known else ()
    message = SlackHandle.parse(handle)
    return (("slack", message.channel or key.chat, message.ts),) if message.is_message else ()


def since(lives: dict[int, list[Sample]], begun: float) -> Sequence[Sample]:
    """The samples after a time of the process that has most of them."""
    return max(([one for one in samples if one.at >= begun] for samples in lives.values()), key=len)


def peak(lives: dict[int, list[Sample]]) -> int:
    return max(one.memory for samples in lives.values() for one in samples)


def slopes(samples: Sequence[Sample]) -> dict[str, object]:
    if len(samples) < 2: return {}
    return {
        "seconds": round(samples[-1].at - samples[0].at),
        "memory, MB/h": round(growth(samples, lambda one: one.memory) / MEGABYTE, 3),
        "files/h": round(growth(samples, lambda one: one.files), 3),
        "threads/h": round(growth(samples, lambda one: one.threads), 3),
        "from": samples[0], "to": samples[-1],
    }
