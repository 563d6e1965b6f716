"""Prefix hits with one model server and with two: `python -m benchmarks.affinity`.

People talk at the same time, each of their turns in a random order among the others. `parley serve-model` runs the
servers, and Parley's own client chooses one for each reply and for each reading of a mood.
"""

import asyncio
import random
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Annotated, Final, TypeAlias

import typer

from benchmarks.machine import describe_machine
from benchmarks.processes import ROOT, clean_environment
from benchmarks.questions import LOCALE, MEASURED, WORDS
from config.personas import load_persona
from config.settings import EngineSettings
from core.clock import SystemClock
from core.engine.families import read_families
from core.engine.member import Member
from core.engine.openai import OpenAIEngine, OpenAIServer
from core.engine.protocol import Engine
from core.engine.several import open_several
from core.errors import EngineError
from core.messages import Exchange, Usage
from core.mood import mood_prompts
from core.prompt import Prompt, chat_prompt
from core.scopes import scope

BATCH: Final = EngineSettings().max_batch
TOKENS: Final = 32
START_SECONDS: Final = 120.0
Said: TypeAlias = list[Exchange]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Tokens of the prompts of replies and those from the prefix cache, the share of all prompts that came from it,
    moods included, and the seconds that all took.
    """

    prompts: int
    cached: int
    share: float
    seconds: float


def main(
    people: Annotated[int, typer.Option(help="Conversations.")] = 40,
    turns: Annotated[int, typer.Option(help="Turns of each.")] = 5,
    model: Annotated[str, typer.Option(help="Model, as in engine.model.")] = "mini",
) -> None:
    """Print the tokens that each arrangement of servers found in its caches."""
    arrangements = {
        "one server": measure(people, turns, model, servers=1),
        "two servers, each conversation at its own": measure(people, turns, model, servers=2),
        "two servers, by chance": measure(people, turns, model, servers=2, by_chance=True),
    }
    found = {name: asyncio.run(measuring) for name, measuring in arrangements.items()}
    alone = found["one server"]
    print(f"{describe_machine()}\n\n{people} conversations of {turns} turns with {model}\n")
    print("| | tokens of prompts | from the cache | of one server's hits | with moods, share cached | seconds |")
    print("|---|---|---|---|---|---|")
    for name, hits in found.items():
        ratio = (hits.cached / hits.prompts) / (alone.cached / alone.prompts)
        print(f"| {name} | {hits.prompts:,} | {hits.cached:,} | {ratio:.3f} | {hits.share:.3f} | {hits.seconds:.1f} |")


async def measure(people: int, turns: int, model: str, *, servers: int, by_chance: bool = False) -> Hits:
    """Hold all conversations, with new servers."""
    async with _servers(servers, model) as engines, AsyncExitStack() as stack:
        members = [
            Member(name=f"{number}", place=f"http://10.0.0.{number}:8000/v1", weight=1, engine=engine)
            for number, engine in enumerate(engines)
        ]
        several = await stack.enter_async_context(open_several(members, SystemClock(), slots=BATCH * servers))
        chance, talks = random.Random(7), list[Said]([] for _ in range(people))
        begun, usages = time.perf_counter(), list[Usage]()
        for turn in range(turns):
            free = asyncio.Semaphore(BATCH)
            async with asyncio.TaskGroup() as group:
                for number in chance.sample(range(people), people):
                    engine = chance.choice(engines) if by_chance else several
                    question = _question(number, turn)
                    group.create_task(_turn(engine, free, scope(f"{number}"), talks[number], question, usages))
        seconds = time.perf_counter() - begun
        counted = [await _tokens(engine) for engine in engines]
    read, cached = (sum(tokens[kind] for tokens in counted) for kind in ("read", "cached"))
    return Hits(
        prompts=sum(usage.prompt_tokens for usage in usages),
        cached=sum(usage.cached_tokens for usage in usages),
        share=cached / (read + cached),
        seconds=seconds,
    )


def _question(person: int, turn: int) -> str:
    """A question that nobody else asks."""
    return f"{MEASURED[(person + turn) % len(MEASURED)]} {WORDS[person % len(WORDS)]} {person}"


async def _turn(
    engine: Engine, free: asyncio.Semaphore, user: str, said: Said, question: str, usages: list[Usage]
) -> None:
    """Read the mood of a question, and write and remember its answer, as the bot does."""
    async with free:
        await engine.first_token(mood_prompts()[LOCALE].ask(question), user="labels")
        prompt: Prompt = chat_prompt(load_persona("parley"), LOCALE, said, question)
        text = ""
        async with engine.stream(prompt, max_tokens=TOKENS, temperature=0, user=user) as pieces:
            async for piece in pieces:
                text += piece.text
                if piece.finish:
                    usages.append(piece.usage)
        said.append(Exchange(question=question, answer=text, tokens=0))


async def _tokens(engine: Engine) -> Mapping[str, float]:
    """The tokens that a server has counted, by kind."""
    families = {family.name: family for family in read_families(await engine.metrics())}
    return {
        sample.labels["kind"]: sample.value for sample in families["parley_tokens"].samples if "kind" in sample.labels
    }


@asynccontextmanager
async def _servers(count: int, model: str) -> AsyncIterator[Sequence[Engine]]:
    """Clients of servers that are ready and new."""
    port = _free_ports(count)
    with TemporaryDirectory() as folder:
        options = ["--data-dir", folder, "--model", model, "--threads", 0, "--max-batch", BATCH, "--dtype", "auto"]
        options += ["--kv-dtype", "auto"]
        options += ["--cache-bytes", EngineSettings().cache_bytes, "--workers", count, "--port", port]
        command = [sys.executable, "-m", "bots.serve", *map(str, options)]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=clean_environment(), stderr=quiet)
        try:
            urls = [f"http://127.0.0.1:{port + number}/v1" for number in range(count)]
            engines = [OpenAIEngine(OpenAIServer(url=url, model="", api_key="")) for url in urls]
            for engine in engines:
                await _until_ready(engine)
            yield engines
        finally:
            process.terminate()
            await process.wait()


async def _until_ready(engine: Engine) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                await engine.identity()
            except EngineError:
                await asyncio.sleep(0.1)
            else:
                return


def _free_ports(count: int) -> int:
    """The first of so many ports in a row that are free now."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                for number in range(1, count):
                    with socket.socket() as other:
                        other.bind(("127.0.0.1", port + number))
            except (OSError, OverflowError):
                continue
            return port


if __name__ == "__main__":
    typer.run(main)
