"""A run of the whole bot: a crowd, outages and deaths for a while, and what has come of it."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fakes.slack.client import FakeSlack, State
from tests.fakes.telegram.control import Account
from tests.soak.bot import Bot, settings_for
from tests.soak.crowd import FORGETTERS, Crowd
from tests.soak.measures import Sample
from tests.soak.platforms import open_platforms
from tests.soak.stored import turns_of, until_delivered
from tests.soak.trouble import Trouble
from tests.soak.verdict import Turn, Verdict, judge

PAUSE, OUTAGES_EVERY, SAMPLED_EVERY = 0.8, 20.0, 5.0
"""Mean seconds between two deeds of the crowd and between two outages; seconds between two samples."""
STORM, CALM, WARM_UP = 0.1, 0.8, 0.4
"""Parts of the time: processes die in the first and the last tenth. What they take is judged after the calm's warm-up.
"""
DEATHS_EVERY = 25.0
QUIET = 600.0
"""Seconds within which everything is answered once the crowd is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has come of a run. `steady` are the samples of the processes that lived through the calm, by their role."""

    crowd: Crowd
    trouble: Trouble
    bot: Bot
    turns: Sequence[Turn]
    verdict: Verdict
    steady: Mapping[str, Sequence[Sample]]


async def soak(folder: Path, seconds: float, seed: int) -> Outcome:
    """Run a bot for a while. Raises TimeoutError if it does not end all its work afterwards."""
    async with AsyncExitStack() as stack:
        platforms = await stack.enter_async_context(open_platforms(folder))
        telegram, slack, crowd = platforms.telegram, platforms.slack, platforms.crowd(seed)
        bot = await stack.enter_async_context(Bot(folder=folder, settings=settings_for(telegram, slack)))
        trouble = Trouble(chance=Random(f"{seed} trouble"), telegram=telegram, slack=slack, bot=bot)
        async with asyncio.TaskGroup() as group:
            passing = group.create_task(repeat(1.0, lambda: slack.pull("advance", seconds=1)))
            steady = await _live(seconds, crowd, trouble, Random(f"{seed} pauses"))
            await until_answered(bot.database, telegram, slack)
            passing.cancel()
        await bot.end(signal.SIGTERM)
        crowd.look()
    kept, log = await turns_of(bot.database), bot.log.read_text()
    verdict = judge(crowd.said, kept, crowd.shown, forgetful=FORGETTERS, log=log, words=crowd.words)
    return Outcome(crowd=crowd, trouble=trouble, bot=bot, turns=kept, verdict=verdict, steady=steady)


async def _live(seconds: float, crowd: Crowd, trouble: Trouble, pauses: Random) -> Mapping[str, Sequence[Sample]]:
    """Let the time pass: a storm, the calm and another storm. Returns the samples of the calm after its warm-up."""
    bot = trouble.bot
    async with asyncio.TaskGroup() as group:
        jobs = [
            group.create_task(repeat(SAMPLED_EVERY, bot.sample)),
            group.create_task(_now_and_then(pauses, PAUSE, crowd.act)),
            group.create_task(_now_and_then(pauses, OUTAGES_EVERY, trouble.outage)),
        ]
        await _storm(trouble, STORM * seconds)
        await asyncio.sleep(WARM_UP * CALM * seconds)
        begun = time.monotonic()
        await asyncio.sleep((1 - WARM_UP) * CALM * seconds)
        steady = {role: _longest_since(lives, begun) for role, lives in bot.lives.items()}
        await _storm(trouble, STORM * seconds)
        for job in jobs:
            job.cancel()
    await trouble.recovery()
    return steady


async def _storm(trouble: Trouble, seconds: float) -> None:
    """Deaths at random moments."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(trouble.chance.uniform(0, min(DEATHS_EVERY, seconds / 4)))
        await trouble.death()


async def until_answered(database: str, telegram: Account, slack: FakeSlack) -> None:
    """Wait until the platforms have delivered everything and no turn is open."""
    async with asyncio.timeout(QUIET):
        while (await telegram.state())["pending"] or _is_repeating(await slack.state()):
            await asyncio.sleep(1)
        await until_delivered(database)


def _is_repeating(state: State) -> bool:
    """Whether Slack still repeats an event. It repeats no gestures, such as a press during an outage."""
    return any(one["kind"] == "events_api" and not one["acknowledged"] for one in state.sendings.values())


def _longest_since(lives: Mapping[int, Sequence[Sample]], begun: float) -> Sequence[Sample]:
    """The samples after a time of the process that has most of them."""
    return max(([one for one in samples if one.at >= begun] for samples in lives.values()), key=len)


async def repeat(seconds: float, deed: Callable[[], Awaitable[object]]) -> None:
    while True:
        await deed()
        await asyncio.sleep(seconds)


async def _now_and_then(chance: Random, mean: float, deed: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(chance.expovariate(1 / mean))
        await deed()
