"""People talking to a server over HTTP: how long they wait for the first token, and until everybody is done."""

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias, TypeVar

import httpx

from benchmarks.figures import Absent, Figure
from benchmarks.machine import memory_of
from benchmarks.questions import COUNTED, LOCALE, WORDS
from benchmarks.rig import Rig
from benchmarks.servers import CONTEXT, ROWS, Server, llama_server, parley_server
from benchmarks.sides import WrongAnswer
from benchmarks.speed import rotated
from config.personas import load_persona

T = TypeVar("T")
Message: TypeAlias = dict[str, str]
Start: TypeAlias = Callable[[Rig], AbstractContextManager[Server]]

PEOPLE, TURNS, TOKENS = 8, 4, 48
LATER = 6
PATIENCE = 600.0
FRAME = 32
"""Room for the tokens around a prompt."""

OPTIONS = {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
"""How replies are sampled; the last is what llama.cpp calls the one before."""

LLAMA = "llama.cpp's server, Q8_0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One reply and the seconds until its first text."""

    text: str
    first_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What several people at once had: the seconds until the last was done, and until the first token of each reply."""

    total: float
    first_tokens: Sequence[float]


def people(rig: Rig) -> list[Figure]:
    """Eight people with four turns each, all behind one system prompt, against llama.cpp's server."""
    ours, theirs, absent = _alternate(rig, lambda server: asyncio.run(_crowd(server)), rig.rounds)
    work = f"{PEOPLE} people x {TURNS} turns x {TOKENS} tokens"
    return [
        Figure(
            work=f"{work}, {name}",
            against=LLAMA,
            unit="s",
            ours=list(map(figure, ours)),
            theirs=list(map(figure, theirs)),
            aim=aim,
            absent=absent,
        )
        for name, figure, aim in (
            ("total", lambda crowd: crowd.total, 1.5),
            ("first token, p50", lambda crowd: median(crowd.first_tokens), 2.0),
        )
    ]


def turns(rig: Rig) -> list[Figure]:
    """The first token of turn 6 against that of turn 1, conversation by conversation. The system prompt is known."""
    with parley_server(rig) as server:
        talks = asyncio.run(_talks(server, rig.rounds))
    return [
        Figure(
            work=f"turn {LATER} of a conversation, first token",
            against="turn 1",
            unit="s",
            ours=[talk[-1] for talk in talks],
            theirs=[talk[0] for talk in talks],
            aim=round(1 / 1.2, 2),
        )
    ]


def memory(rig: Rig) -> list[Figure]:
    """The most that was ever resident (VmHWM) once eight rows have filled their context."""
    ours, theirs, absent = _alternate(rig, _filled, 1)
    return [
        Figure(
            work=f"peak memory, server with {ROWS} x {CONTEXT} tokens",
            against=LLAMA,
            unit="MiB resident",
            ours=ours,
            theirs=theirs,
            aim=1.0,
            digits=0,
            absent=absent,
        )
    ]


def _alternate(rig: Rig, ask: Callable[[Server], T], rounds: int) -> tuple[list[T], list[T], str]:
    """Both servers one after the other, each time another one first; why there is nothing of the other, if so."""
    found: dict[Start, list[T]] = {parley_server: [], llama_server: []}
    absent = ""
    for number in range(rounds):
        for start in rotated(list(found), number):
            try:
                with start(rig) as server:
                    found[start].append(ask(server))
            except Absent as error:
                absent = str(error)
    return found[parley_server], found[llama_server], absent


async def _crowd(server: Server) -> Crowd:
    async with _client(server) as client:
        await _talk(client, "nobody", COUNTED[-1:], [])
        begun = time.perf_counter()
        first_tokens: list[float] = []
        async with asyncio.TaskGroup() as group:
            for person in range(PEOPLE):
                group.create_task(_talk(client, f"{person}", (COUNTED[person:] + COUNTED)[:TURNS], first_tokens))
        return Crowd(total=time.perf_counter() - begun, first_tokens=first_tokens)


async def _talks(server: Server, count: int) -> list[list[float]]:
    """Conversations one after the other; the first warms up and is not counted."""
    async with _client(server) as client:
        talks: list[list[float]] = [[] for _ in range(count + 1)]
        for number, talk in enumerate(talks):
            await _talk(client, f"{number}", (COUNTED[number:] + COUNTED)[:LATER], talk)
        return talks[1:]


async def _talk(client: httpx.AsyncClient, user: str, questions: Sequence[str], first_tokens: list[float]) -> None:
    """A conversation. What Parley keeps of it, it keeps for this user; llama.cpp does not ask whose it is."""
    messages = [{"role": "system", "content": load_persona("parley").system[LOCALE]}]
    for question in questions:
        messages.append({"role": "user", "content": question})
        said = await reply(client, messages, TOKENS, user)
        messages.append({"role": "assistant", "content": said.text})
        first_tokens.append(said.first_token)


def _filled(server: Server) -> float:
    asyncio.run(_fill(server))
    return memory_of(server.pid).peak


async def _fill(server: Server) -> None:
    """A row for each person, with prompts of their own that leave room for a reply and no more."""
    async with _client(server) as client, asyncio.TaskGroup() as group:
        for person in range(ROWS):
            text = " " + " ".join(random.Random(person).choices(WORDS, k=CONTEXT - TOKENS - FRAME))
            group.create_task(
                reply(client, [{"role": "system", "content": ""}, {"role": "user", "content": text}], TOKENS)
            )


def _client(server: Server) -> httpx.AsyncClient:
    """Waits as long as a slow machine takes. A connection for each request: a server may close one that was idle just
    when the next turn takes it.
    """
    fresh = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=server.url, timeout=PATIENCE, limits=fresh)


async def reply(client: httpx.AsyncClient, messages: Sequence[Message], tokens: int, user: str = "") -> Said:
    """Streams one reply. WrongAnswer where it is not as long as it was told to be."""
    asked = {"messages": messages, "max_tokens": tokens, "stream": True, "stream_options": {"include_usage": True}}
    asked |= {"user": user}
    begun, first, text, written = time.perf_counter(), 0.0, "", 0
    async with client.stream("POST", "/v1/chat/completions", json=asked | OPTIONS) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line.removeprefix("data: "))
            piece = "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            first = first or (time.perf_counter() - begun if piece else 0.0)
            text += piece
            written = (event.get("usage") or {}).get("completion_tokens", written)
    if written != tokens:
        raise WrongAnswer(f"{written} tokens were written instead of {tokens}")
    return Said(text=text, first_token=first)
