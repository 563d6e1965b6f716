"""A crowd that writes all at once, and then again beside somebody who floods: `python -m benchmarks.load`.

The whole of Parley, as `parley run`, between a platform's fake and a model that takes its time over every reply.
"""

import asyncio
import math
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Protocol
from uuid import uuid4

import typer

from benchmarks.machine import describe_machine
from core.clock import SystemClock
from core.engine.scripted import ScriptedEngine
from core.i18n import say
from tests.core.engine.fake_server import serving
from tests.fakes.slack.client import FakeSlack, fake_slack, fake_slack_process
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN, BOT_USER
from tests.fakes.telegram.control import Account, make_account, run_telegram
from tests.fakes.telegram.journal import Entry

ROOT = Path(__file__).parents[1]
PIECES = 10
ANSWER = " ".join(f"w{number}" for number in range(PIECES))
BUSY = say("en", "refusal.busy", seconds=0).partition("0")[0]
FLOOD_EVERY = 0.05
LOOK_EVERY = 1.0
HEAD = "| platform | | acknowledged, p50 / p99 / max ms | answered | busy | silent | until the end, p99 s | 429s |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """`people` who write within `seconds`, and a model that takes `reply` seconds for each."""

    people: int
    seconds: float
    reply: float

    @property
    def patience(self) -> float:
        """Seconds after which who has heard nothing is given up."""
        return 60 + self.people * self.reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What there is by now: the last text at each place, seconds until the platform was told "received", 429s."""

    texts: Mapping[str, str]
    acknowledged: Sequence[float]
    refused: int


class Platform(Protocol):
    """One fake. Whoever `say`s something is told the place where the answer will stand."""

    @property
    def settings(self) -> Mapping[str, str]: ...

    async def connected(self) -> None: ...

    async def say(self, person: int) -> str: ...

    async def seen(self) -> Seen: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What became of a crowd; times in seconds."""

    acknowledged: Sequence[float]
    waited: Sequence[float]
    answered: int
    busy: int
    silent: int
    refused: int

    def row(self, platform: str, when: str) -> str:
        middle, late, last = (1000 * quantile(self.acknowledged, part) for part in (0.5, 0.99, 1))
        return (
            f"| {platform} | {when} | {middle:.0f} / {late:.0f} / {last:.0f} | {self.answered} | {self.busy} | "
            f"{self.silent} | {quantile(self.waited, 0.99):.1f} | {self.refused} |"
        )


@dataclass(slots=True, kw_only=True)
class OnTelegram:
    """Everybody in a chat of their own."""

    account: Account
    journal: list[Entry] = field(default_factory=list)

    @property
    def settings(self) -> Mapping[str, str]:
        return {"PARLEY_TELEGRAM__TOKEN": self.account.token, "PARLEY_TELEGRAM__BASE_URL": self.account.base_url}

    async def connected(self) -> None:
        await self.account.until(lambda journal: any(entry["do"] == "commands" for entry in journal))

    async def say(self, person: int) -> str:
        await self.account.say(unlike_any(), person=person)
        return str(person)

    async def seen(self) -> Seen:
        self.journal += await self.account.journal(len(self.journal))
        return Seen(
            texts={str(entry["chat"]): entry["text"] for entry in self.journal if entry["do"] in {"send", "edit"}},
            acknowledged=[entry["waited"] for entry in self.journal if entry["do"] == "confirmed"],
            refused=sum(entry["do"] == "flood" for entry in self.journal),
        )


@dataclass(slots=True, kw_only=True)
class OnSlack:
    """Everybody in a thread of their own. Slack's rates are not enforced: such a crowd needs ten times as much."""

    slack: FakeSlack

    @property
    def settings(self) -> Mapping[str, str]:
        tokens = {"PARLEY_SLACK__BOT_TOKEN": BOT_TOKEN, "PARLEY_SLACK__APP_TOKEN": APP_TOKEN}
        return tokens | {"PARLEY_SLACK__BASE_URL": f"{self.slack.url}/api"}

    async def connected(self) -> None:
        await self.slack.until(lambda state: state.sockets > 0)

    async def say(self, person: int) -> str:
        return await self.slack.say(unlike_any(), user=f"U{person}")

    async def seen(self) -> Seen:
        state = await self.slack.state()
        from_people = [one for one in state.sendings.values() if one["body"]["event"].get("user") != BOT_USER]
        return Seen(
            texts={bubble["thread_ts"]: bubble["text"] for bubble in state.bubbles()},
            acknowledged=[one["waited"] for one in from_people if one["acknowledged"]],
            refused=0,
        )


def main(
    *,
    people: Annotated[int, typer.Option(min=1)] = 200,
    seconds: Annotated[float, typer.Option(help="Within which they write.")] = 10.0,
    reply: Annotated[float, typer.Option(help="Seconds that the model takes for a reply.")] = 5.0,
) -> None:
    """Measures how a crowd is received on either platform, alone and beside a flood of 20 messages a second."""
    crowd = Crowd(people=people, seconds=seconds, reply=reply)
    rows = [row for name in ("telegram", "slack") for row in asyncio.run(compare(name, crowd))]
    print("\n".join([HEAD, "|" + "---|" * (HEAD.count("|") - 1), *rows, "", describe_machine()]))


async def compare(name: str, crowd: Crowd) -> Sequence[str]:
    """The rows of one platform: the crowd alone, and with a flooder in it."""
    alone, flooded = [await measure(name, crowd, is_flooded=is_flooded) for is_flooded in (False, True)]
    ratio = quantile(flooded.waited, 0.99) / quantile(alone.waited, 0.99)
    return [alone.row(name, "alone"), flooded.row(name, f"flooded, p99 x {ratio:.2f}")]


async def measure(name: str, crowd: Crowd, *, is_flooded: bool = False) -> Figures:
    """Have a crowd write to a fresh bot, and wait until each has their answer."""
    engine = ScriptedEngine.slow(ANSWER, crowd.reply / PIECES, SystemClock())
    async with serving(engine) as url, _open_platform(name) as platform, _running(platform.settings, url):
        await platform.connected()
        flooding = asyncio.create_task(_flood(platform)) if is_flooded else None
        said = await _write(platform, crowd)
        waited = await _until_ended(platform, said, crowd.patience)
        if flooding:
            flooding.cancel()
        seen = await platform.seen()
    texts = [seen.texts.get(place, "") for place in said]
    return Figures(
        acknowledged=seen.acknowledged,
        waited=waited,
        answered=sum(ANSWER in text for text in texts),
        busy=sum(text.startswith(BUSY) for text in texts),
        silent=sum(not _is_end(text) for text in texts),
        refused=seen.refused,
    )


def quantile(figures: Sequence[float], part: float) -> float:
    """The smallest of the figures that so large a part of them does not exceed."""
    return sorted(figures)[math.ceil(part * len(figures)) - 1]


def unlike_any() -> str:
    """Words that nobody has said before, so that no answer is remembered for them."""
    return f"hello {uuid4().hex}"


async def _write(platform: Platform, crowd: Crowd) -> Mapping[str, float]:
    """When each person wrote, by the place of their answer."""
    begun = time.monotonic()
    said = {}
    for number in range(crowd.people):
        await asyncio.sleep(begun + number * crowd.seconds / crowd.people - time.monotonic())
        at = time.monotonic()
        said[await platform.say(number + 1)] = at
    return said


async def _flood(platform: Platform) -> None:
    while True:
        await platform.say(999_999)
        await asyncio.sleep(FLOOD_EVERY)


async def _until_ended(platform: Platform, said: Mapping[str, float], patience: float) -> Sequence[float]:
    """Seconds until each had their answer; a busy bot's word is one."""
    ended: dict[str, float] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            while len(ended) < len(said):
                await asyncio.sleep(LOOK_EVERY)
                texts = (await platform.seen()).texts
                now = time.monotonic()
                for place in said.keys() - ended.keys():
                    if _is_end(texts.get(place, "")):
                        ended[place] = now - said[place]
    return list(ended.values())


def _is_end(text: str) -> bool:
    return ANSWER in text or text.startswith(BUSY)


@asynccontextmanager
async def _open_platform(name: str) -> AsyncIterator[Platform]:
    async with AsyncExitStack() as stack:
        if name == "telegram":
            address = stack.enter_context(run_telegram())
            yield OnTelegram(account=await stack.enter_async_context(make_account(address)))
        else:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            port = stack.enter_context(fake_slack_process(folder / "journal"))
            yield OnSlack(slack=await stack.enter_async_context(fake_slack(port)))


@asynccontextmanager
async def _running(settings: Mapping[str, str], model_url: str) -> AsyncIterator[None]:
    """`parley run` with its usual settings, until the context is left."""
    with TemporaryDirectory() as folder:
        usual = {"PARLEY_DATA_DIR": folder, "PARLEY_WEB__PORT": "0", "PARLEY_ACCESS__ALLOW": "telegram:*,slack:*"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bots", "run"),
            cwd=ROOT,
            env={**os.environ, **usual, **settings, "PARLEY_ENGINE__URL": model_url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            await process.stdout.readline()
            yield
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    typer.run(main)
