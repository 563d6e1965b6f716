"""Sustained load: a gateway on Telegram and Slack at a steady rate: `python -m benchmarks.sustained`.

It runs the whole of Parley, as `parley run`, between both fake platforms and a scripted model.
"""

import asyncio
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import Annotated, Final

import typer

from benchmarks.load import ANSWER, PIECES, Platform, Snapshot, open_platform, quantile, running
from benchmarks.machine import children_of, describe_machine, processor_seconds
from core.clock import SystemClock
from core.engine.scripted import ScriptedEngine
from tests.core.engine.fake_server import serving
from tests.soak.bot import NO_LIMITS
from tests.soak.measures import MIB, Sample

PEOPLE: Final = 200
"""On each platform. They write in turn."""
WARM_UP: Final = 5.0
"""Seconds of the load before the processor's time counts."""
SAMPLED_EVERY: Final = 1.0
QUIET: Final = 60.0
"""Seconds within which everything is answered once nobody writes."""
ROOM: Final[Mapping[str, str]] = {
    "PARLEY_ENGINE__MAX_BATCH": "32",
    "PARLEY_SLACK__DIRECT_MESSAGES": "threads",
} | {f"PARLEY_LIMITS__{name}": value for name, value in NO_LIMITS.items()}
"""Settings: each message has a turn, the model is never full, and messages on Slack do not wait for each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Messages per second on each platform, for some `seconds`. The model takes `reply` seconds for each reply."""

    rates: Mapping[str, float]
    seconds: float
    reply: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """`sent` and `answered` messages, and seconds to each acknowledgement, by platform; seconds of the processor per
    message of each process, after the warm-up; and what the gateway took over time.
    """

    sent: Mapping[str, int]
    seen: Mapping[str, Snapshot]
    used: Mapping[str, float]
    gateway: Sequence[Sample]

    def report(self) -> str:
        """Tables of the platforms, of the processes and of the gateway's memory."""
        rows = [self._row(name, seen) for name, seen in self.seen.items()]
        used = " | ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in self.used.items())
        first, *_, last = self.gateway
        middle = self.gateway[len(self.gateway) // 2]
        memory = ", ".join(f"{one.memory / MIB:.0f}" for one in (first, middle, last))
        head = "| platform | sent | answered | acknowledged, p50 / p99 / max ms | 429s |\n|---|---|---|---|---|"
        return "\n".join(
            [head, *rows, "", f"ms of the processor per message: {used}", f"MiB at the start, middle, end: {memory}"]
        )

    def _row(self, name: str, seen: Snapshot) -> str:
        p50, p99, longest = (1000 * quantile(seen.acknowledged, fraction) for fraction in (0.5, 0.99, 1))
        return (
            f"| {name} | {self.sent[name]} | {seen.answers} | {p50:.0f} / {p99:.0f} / {longest:.0f} | "
            f"{seen.rate_limited} |"
        )


def main(
    *,
    telegram: Annotated[float, typer.Option(help="Messages per second on Telegram, whose rate limit allows 10.")] = 8.0,
    slack: Annotated[float, typer.Option(help="Messages per second on Slack.")] = 17.0,
    seconds: Annotated[float, typer.Option(min=2 * WARM_UP, help="Seconds of the load.")] = 600.0,
    reply: Annotated[float, typer.Option(help="Seconds of the model for each reply.")] = 0.5,
) -> None:
    """Measures a gateway under a steady load on both platforms."""
    load = Load(rates={"telegram": telegram, "slack": slack}, seconds=seconds, reply=reply)
    print(f"{asyncio.run(measure(load)).report()}\n\n{describe_machine()}")


async def measure(load: Load) -> Figures:
    """Lets people write to a new bot, and waits until all is answered or nothing more is."""
    engine = ScriptedEngine.slow(ANSWER, load.reply / PIECES, SystemClock())
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(engine))
        platforms = {name: await stack.enter_async_context(open_platform(name)) for name in load.rates}
        fakes = tuple(children_of(os.getpid()))
        settings = {name: value for each in platforms.values() for name, value in each.settings.items()}
        gateway = await stack.enter_async_context(running({**settings, **ROOM}, url))
        for each in platforms.values():
            await each.connected()
        begun, senders, samples = time.monotonic(), [], list[Sample]()
        async with asyncio.TaskGroup() as group:
            for name, each in platforms.items():
                senders.append(group.create_task(_write(each, load.rates[name], begun + load.seconds)))
            group.create_task(_sample(gateway, samples, begun + load.seconds))
            await asyncio.sleep(WARM_UP)
            before = _used(gateway, fakes)
            await asyncio.sleep(begun + load.seconds - time.monotonic())
            after = _used(gateway, fakes)
        sent = {name: sender.result() for name, sender in zip(platforms, senders, strict=True)}
        seen = await _until_answered(platforms, sent)
    counted = sum(sent.values()) * (load.seconds - WARM_UP) / load.seconds
    return Figures(
        sent=sent,
        seen=seen,
        used={name: (after[name] - before[name]) / counted for name in after},
        gateway=samples,
    )


async def _write(platform: Platform, rate: float, until: float) -> int:
    """Send messages at equal intervals until a monotonic time. Returns their number."""
    begun = time.monotonic()
    for number in count():
        if (due := begun + number / rate) >= until:
            return number
        await asyncio.sleep(due - time.monotonic())
        await platform.say(number % PEOPLE + 1)
    raise AssertionError("numbers do not end")


async def _sample(pid: int, samples: list[Sample], until: float) -> None:
    while (now := time.monotonic()) < until:
        if taken := Sample.of(pid, now):
            samples.append(taken)
        await asyncio.sleep(SAMPLED_EVERY)


async def _until_answered(platforms: Mapping[str, Platform], sent: Mapping[str, int]) -> Mapping[str, Snapshot]:
    """What is shown once all messages have their answers, or a while after the last one was sent."""
    until = time.monotonic() + QUIET
    while True:
        seen = {name: await each.snapshot() for name, each in platforms.items()}
        if time.monotonic() > until or all(seen[name].answers >= sent[name] for name in sent):
            return seen
        await asyncio.sleep(SAMPLED_EVERY)


def _used(gateway: int, fakes: Iterable[int]) -> Mapping[str, float]:
    """Seconds of the processor so far, of the gateway, the fake platforms, and this process: people and model."""
    return {
        "gateway": processor_seconds(gateway),
        "platforms": sum(map(processor_seconds, fakes)),
        "people and model": time.process_time(),
    }


if __name__ == "__main__":
    typer.run(main)
