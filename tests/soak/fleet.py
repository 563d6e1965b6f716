"""A fleet under a crowd: gateways and model servers on one PostgreSQL server, and kills of each at random."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

from tests.faults.cluster import Server, open_servers
from tests.ports import free_port
from tests.soak.bot import settings_for
from tests.soak.crowd import FORGETTERS, Crowd
from tests.soak.members import Member, gateway, model_server
from tests.soak.platforms import open_platforms
from tests.soak.soak import repeat, until_answered
from tests.soak.stored import turns_of
from tests.soak.verdict import Turn, Verdict, judge

GATEWAYS, MODELS = 3, 2
CHANCES = {"gateway": 6, "model": 3, "database": 1}
"""How often each kind of process is killed, in proportion."""


@dataclass(slots=True, kw_only=True)
class Fleet:
    """Gateways and model servers by their names, and the database. `kills` counts the deaths of each kind."""

    database: Server
    members: Mapping[str, Member]
    folder: Path
    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CHANCES, 0))
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    async def kill_one(self, chance: Random) -> None:
        """Kill a process of a random kind, or all of the database's, and start it again after a moment."""
        (kind,) = chance.choices(tuple(CHANCES), tuple(CHANCES.values()))
        self.kills[kind] += 1
        pause = chance.uniform(0, 1)
        if kind == "database":
            await asyncio.to_thread(self.database.kill)
            await asyncio.sleep(pause)
            await asyncio.to_thread(self.database.start)
            return
        name = chance.choice([each for each in self.members if each.startswith(kind)])
        process = self._running.pop(name)
        process.kill()
        await process.wait()
        await asyncio.sleep(pause)
        await self._start(name)

    async def __aenter__(self) -> Self:
        for name in self.members:
            await self._start(name)
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self._running.values():
            process.kill()
            await process.wait()

    async def _start(self, name: str) -> None:
        self._running[name] = await self.members[name].start(self.folder / f"{name}.log")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What has come of a run. `seconds` is its length, from the first message to the last answer."""

    crowd: Crowd
    fleet: Fleet
    turns: Sequence[Turn]
    verdict: Verdict
    seconds: float

    def evidence(self) -> str:
        """The turns of what is lost, doubled or misplaced, with the messages that show them now."""
        places = {*self.verdict.lost, *self.verdict.doubled, *self.verdict.misplaced}
        found = [turn for turn in self.turns if places & {turn.question, *turn.shown_by}]
        shown = [(place, self.crowd.shown.get(place)) for turn in found for place in turn.shown_by]
        return "\n".join(map(str, [*places, *found, *shown]))


async def live(folder: Path, *, messages: int, kills: int, pace: float, seed: int) -> Outcome:
    """Let a crowd write `messages`, one every `pace` seconds, while there are `kills`, evenly divided.

    Raises TimeoutError if the fleet does not end all its work afterwards.
    """
    async with AsyncExitStack() as stack:
        platforms = await stack.enter_async_context(open_platforms(folder))
        telegram, slack, crowd = platforms.telegram, platforms.slack, platforms.crowd(seed)
        database = stack.enter_context(open_servers())
        members = _members(folder, settings_for(telegram, slack) | {"PARLEY_STORE__URL": database.url})
        fleet = await stack.enter_async_context(Fleet(database=database, members=members, folder=folder))
        begun = time.monotonic()
        async with asyncio.TaskGroup() as group:
            passing = group.create_task(repeat(1.0, lambda: slack.pull("advance", seconds=1)))
            async with asyncio.TaskGroup() as deeds:
                deeds.create_task(_write(crowd, messages, pace))
                deeds.create_task(_kill(fleet, kills, messages * pace, Random(f"{seed} kills")))
            await until_answered(database.url, telegram, slack)
            passing.cancel()
        seconds = time.monotonic() - begun
        crowd.look()
        turns = await turns_of(database.url)
    log = "".join((folder / f"{name}.log").read_text() for name in members if name.startswith("gateway"))
    verdict = judge(crowd.said, turns, crowd.shown, forgetful=FORGETTERS, log=log, words=crowd.words)
    return Outcome(crowd=crowd, fleet=fleet, turns=turns, verdict=verdict, seconds=seconds)


async def _write(crowd: Crowd, messages: int, pace: float) -> None:
    begun = time.monotonic()
    while len(crowd.said) < messages:
        await asyncio.sleep(begun + len(crowd.said) * pace - time.monotonic())
        await crowd.act()


async def _kill(fleet: Fleet, kills: int, seconds: float, chance: Random) -> None:
    """Kill one after the other, in the time of the messages, or a little longer if starts take longer."""
    begun = time.monotonic()
    for number in range(kills):
        await asyncio.sleep(begun + number * seconds / kills - time.monotonic())
        await fleet.kill_one(chance)


def _members(folder: Path, settings: Mapping[str, str]) -> Mapping[str, Member]:
    """The model servers, and the gateways that use all of them."""
    ports = [free_port() for _ in range(MODELS)]
    urls = {"PARLEY_ENGINE__URL": ",".join(f"http://127.0.0.1:{port}/v1" for port in ports)}
    members = [
        *(model_server(number, folder, port) for number, port in enumerate(ports)),
        *(gateway(number, folder, {**settings, **urls}) for number in range(GATEWAYS)),
    ]
    return {member.name: member for member in members}
