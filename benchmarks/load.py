"""Load test: many people write within seconds, without and with one person who floods: `python -m benchmarks.load`.

It runs the whole of Parley, as `parley run`, between a fake platform and a scripted model with slow replies.
"""

import asyncio
import math
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
from benchmarks.processes import ROOT, clean_environment
from core.clock import SystemClock
from core.engine.scripted import ScriptedEngine
from core.i18n import say
from tests.core.engine.fake_server import serving
from tests.fakes.slack.client import FakeSlack, fake_slack, fake_slack_process
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN, BOT_USER
from tests.fakes.telegram.control import Account, make_account, run_telegram
from tests.fakes.telegram.journal import Entry

PIECES = 10
ANSWER = " ".join(f"w{number}" for number in range(PIECES))
BUSY = say("en", "refusal.busy", seconds=0).partition("0")[0]
FLOOD_INTERVAL = 0.05
POLL_INTERVAL = 1.0
HEAD = "| platform | load | acknowledged, p50 / p99 / max ms | answered | told busy | unanswered | done, p99 s | 429s |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Load: `people` write within `seconds`, and the model takes `reply` seconds for each reply."""

    people: int
    seconds: float
    reply: float

    @property
    def timeout(self) -> float:
        """Seconds after which a message without an answer counts as unanswered."""
        return 60 + self.people * self.reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """State of a platform: the current text at each place of an answer, the number of the bot's messages that show the
    whole answer, seconds to each acknowledgement, and 429s.
    """

    texts: Mapping[str, str]
    answers: int
    acknowledged: Sequence[float]
    rate_limited: int


class Platform(Protocol):
    """A fake platform. `say` sends a message and returns the place of its answer, a key of `Snapshot.texts`."""

    @property
    def settings(self) -> Mapping[str, str]: ...

    async def connected(self) -> None: ...

    async def say(self, person: int) -> str: ...

    async def snapshot(self) -> Snapshot: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Results for a crowd: seconds to each acknowledgement and to the end of each answer, and counts of messages."""

    acknowledged: Sequence[float]
    ended: Sequence[float]
    answered: int
    busy: int
    unanswered: int
    rate_limited: int

    def row(self, platform: str, load: str) -> str:
        p50, p99, longest = (1000 * quantile(self.acknowledged, fraction) for fraction in (0.5, 0.99, 1))
        return (
            f"| {platform} | {load} | {p50:.0f} / {p99:.0f} / {longest:.0f} | {self.answered} | {self.busy} | "
            f"{self.unanswered} | {quantile(self.ended, 0.99):.1f} | {self.rate_limited} |"
        )


@dataclass(slots=True, kw_only=True)
class TelegramPlatform:
    """Each person writes in their own chat."""

    account: Account
    journal: list[Entry] = field(default_factory=list)

    @property
    def settings(self) -> Mapping[str, str]:
        return {"PARLEY_TELEGRAM__TOKEN": self.account.token, "PARLEY_TELEGRAM__BASE_URL": self.account.base_url}

    async def connected(self) -> None:
        await self.account.until(lambda journal: any(entry["do"] == "commands" for entry in journal))

    async def say(self, person: int) -> str:
        await self.account.say(unique_text(), person=person)
        return str(person)

    async def snapshot(self) -> Snapshot:
        self.journal += await self.account.journal(len(self.journal))
        shown = [entry for entry in self.journal if entry["do"] in {"send", "edit"}]
        return Snapshot(
            texts={str(entry["chat"]): entry["text"] for entry in shown},
            answers=len({(entry["chat"], entry["message"]) for entry in shown if ANSWER in entry["text"]}),
            acknowledged=[entry["waited"] for entry in self.journal if entry["do"] == "confirmed"],
            rate_limited=sum(entry["do"] == "flood" for entry in self.journal),
        )


@dataclass(slots=True, kw_only=True)
class SlackPlatform:
    """Each person writes in their own thread. Slack's rate limits are off: this load exceeds them tenfold."""

    slack: FakeSlack

    @property
    def settings(self) -> Mapping[str, str]:
        tokens = {"PARLEY_SLACK__BOT_TOKEN": BOT_TOKEN, "PARLEY_SLACK__APP_TOKEN": APP_TOKEN}
        return tokens | {"PARLEY_SLACK__BASE_URL": f"{self.slack.url}/api"}

    async def connected(self) -> None:
        await self.slack.until(lambda state: state.sockets > 0)

    async def say(self, person: int) -> str:
        return await self.slack.say(unique_text(), user=f"U{person}")

    async def snapshot(self) -> Snapshot:
        state = await self.slack.state()
        bubbles = state.bubbles()
        itself = {None, BOT_USER}  # Slack tells of the bot's edits without a user
        from_people = [one for one in state.sendings.values() if one["body"]["event"].get("user") not in itself]
        return Snapshot(
            texts={bubble["thread_ts"]: bubble["text"] for bubble in bubbles},
            answers=sum(ANSWER in bubble["text"] for bubble in bubbles),
            acknowledged=[one["waited"] for one in from_people if one["acknowledged"]],
            rate_limited=0,
        )


def main(
    *,
    people: Annotated[int, typer.Option(min=1, help="Number of people; each writes once.")] = 200,
    seconds: Annotated[float, typer.Option(help="Seconds within which they write.")] = 10.0,
    reply: Annotated[float, typer.Option(help="Seconds of the model for each reply.")] = 5.0,
) -> None:
    """Measures both platforms under load, without and with a flood of 20 messages per second from one person."""
    crowd = Crowd(people=people, seconds=seconds, reply=reply)
    rows = [row for name in ("telegram", "slack") for row in asyncio.run(compare(name, crowd))]
    print("\n".join([HEAD, "|" + "---|" * (HEAD.count("|") - 1), *rows, "", describe_machine()]))


async def compare(name: str, crowd: Crowd) -> Sequence[str]:
    """Table rows of one platform: the crowd alone, and the crowd with a flood."""
    alone, flooded = [await measure(name, crowd, is_flooded=is_flooded) for is_flooded in (False, True)]
    ratio = quantile(flooded.ended, 0.99) / quantile(alone.ended, 0.99)
    return [alone.row(name, "alone"), flooded.row(name, f"flooded, p99 x {ratio:.2f}")]


async def measure(name: str, crowd: Crowd, *, is_flooded: bool = False) -> Figures:
    """Lets a crowd write to a new bot, and waits until each message has its answer or the timeout is over."""
    engine = ScriptedEngine.slow(ANSWER, crowd.reply / PIECES, SystemClock())
    async with serving(engine) as url, open_platform(name) as platform, running(platform.settings, url):
        await platform.connected()
        flooding = asyncio.create_task(_flood(platform)) if is_flooded else None
        sent = await _send_all(platform, crowd)
        ended = await _wait_for_ends(platform, sent, crowd.timeout)
        if flooding:
            flooding.cancel()
        snapshot = await platform.snapshot()
    texts = [snapshot.texts.get(place, "") for place in sent]
    return Figures(
        acknowledged=snapshot.acknowledged,
        ended=ended,
        answered=sum(ANSWER in text for text in texts),
        busy=sum(text.startswith(BUSY) for text in texts),
        unanswered=sum(not _is_end(text) for text in texts),
        rate_limited=snapshot.rate_limited,
    )


def quantile(values: Sequence[float], fraction: float) -> float:
    """The nearest-rank quantile: the smallest value that at least this fraction of the values does not exceed."""
    return sorted(values)[math.ceil(fraction * len(values)) - 1]


def unique_text() -> str:
    """A text that no cached answer fits."""
    return f"hello {uuid4().hex}"


async def _send_all(platform: Platform, crowd: Crowd) -> Mapping[str, float]:
    """Sends the messages at equal intervals. Returns the monotonic time of each by the place of its answer."""
    begun = time.monotonic()
    sent = {}
    for number in range(crowd.people):
        await asyncio.sleep(begun + number * crowd.seconds / crowd.people - time.monotonic())
        at = time.monotonic()
        sent[await platform.say(number + 1)] = at
    return sent


async def _flood(platform: Platform) -> None:
    while True:
        await platform.say(999_999)
        await asyncio.sleep(FLOOD_INTERVAL)


async def _wait_for_ends(platform: Platform, sent: Mapping[str, float], limit: float) -> Sequence[float]:
    """Seconds from each message to the end of its answer. A refusal because the bot is busy is an answer too."""
    ended: dict[str, float] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(limit):
            while len(ended) < len(sent):
                await asyncio.sleep(POLL_INTERVAL)
                texts = (await platform.snapshot()).texts
                now = time.monotonic()
                for place in sent.keys() - ended.keys():
                    if _is_end(texts.get(place, "")):
                        ended[place] = now - sent[place]
    return list(ended.values())


def _is_end(text: str) -> bool:
    return ANSWER in text or text.startswith(BUSY)


@asynccontextmanager
async def open_platform(name: str) -> AsyncIterator[Platform]:
    """A fake platform in a process of its own, by its name."""
    async with AsyncExitStack() as stack:
        if name == "telegram":
            address = stack.enter_context(run_telegram())
            yield TelegramPlatform(account=await stack.enter_async_context(make_account(address)))
        else:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            port = stack.enter_context(fake_slack_process(folder / "journal"))
            yield SlackPlatform(slack=await stack.enter_async_context(fake_slack(port)))


@asynccontextmanager
async def running(settings: Mapping[str, str], model_url: str) -> AsyncIterator[int]:
    """`parley run` with default settings but these, for the duration of the context; its process id."""
    with TemporaryDirectory() as folder:
        common = {"PARLEY_DATA_DIR": folder, "PARLEY_WEB__PORT": "0", "PARLEY_ACCESS__ALLOW": "telegram:*,slack:*"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bots", "run"),
            cwd=ROOT,
            env={**clean_environment(), **common, **settings, "PARLEY_ENGINE__URL": model_url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        try:
            await process.stdout.readline()
            yield process.pid
        finally:
            process.terminate()
            await process.wait()


if __name__ == "__main__":
    typer.run(main)
