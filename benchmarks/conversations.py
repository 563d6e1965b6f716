"""Conversations with a server over HTTP: time to first token, total time, peak memory."""

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

from benchmarks.chatbots import WrongAnswer
from benchmarks.figures import Figure, Unavailable
from benchmarks.machine import memory_of
from benchmarks.questions import LOCALE, MEASURED, WORDS
from benchmarks.rig import Rig
from benchmarks.servers import CONTEXT, SEQUENCES, Server, llama_server, parley_server
from benchmarks.speed import rotated
from config.personas import load_persona

T = TypeVar("T")
Message: TypeAlias = dict[str, str]
OpenServer: TypeAlias = Callable[[Rig], AbstractContextManager[Server]]

PEOPLE, TURNS, TOKENS = 8, 4, 48
LATER_TURN = 6
TIMEOUT = 600.0
TEMPLATE_TOKENS = 32
"""Tokens reserved for the chat template around a prompt."""

SAMPLING = {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
"""Sampling options of each request. llama.cpp calls the repetition penalty `repeat_penalty`."""

LLAMA = "llama.cpp's server, Q8_0"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedReply:
    """Text of a reply, and the time to its first token in seconds."""

    text: str
    first_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdTimes:
    """Times of concurrent conversations in seconds: until the last one ended, and to the first token of each reply."""

    total: float
    first_tokens: Sequence[float]


def people(rig: Rig) -> list[Figure]:
    """Eight concurrent conversations of four turns with one system prompt, compared with llama.cpp's server."""
    ours, theirs, unavailable = _alternate(rig, lambda server: asyncio.run(_crowd(server)), rig.rounds)
    workload = f"{PEOPLE} people x {TURNS} turns x {TOKENS} tokens"
    return [
        Figure(
            workload=f"{workload}, {name}",
            baseline=LLAMA,
            unit="s",
            ours=list(map(value, ours)),
            theirs=list(map(value, theirs)),
            target=target,
            unavailable=unavailable,
        )
        for name, value, target in (
            ("total", lambda times: times.total, 1.5),
            ("time to first token, p50", lambda times: median(times.first_tokens), 2.0),
        )
    ]


def turns(rig: Rig) -> list[Figure]:
    """Time to first token of turn 6 compared with turn 1 of the same conversation, with the system prompt cached."""
    with parley_server(rig) as server:
        conversations = asyncio.run(_conversations(server, rig.rounds))
    return [
        Figure(
            workload=f"turn {LATER_TURN} of a conversation, time to first token",
            baseline="turn 1",
            unit="s",
            ours=[times[-1] for times in conversations],
            theirs=[times[0] for times in conversations],
            target=round(1 / 1.2, 2),
        )
    ]


def memory(rig: Rig) -> list[Figure]:
    """Peak resident memory (VmHWM) of the server after eight sequences have filled their context."""
    ours, theirs, unavailable = _alternate(rig, _peak_memory, 1)
    return [
        Figure(
            workload=f"peak memory of the server, {SEQUENCES} x {CONTEXT} tokens",
            baseline=LLAMA,
            unit="MiB resident",
            ours=ours,
            theirs=theirs,
            target=1.0,
            digits=0,
            unavailable=unavailable,
        )
    ]


def _alternate(rig: Rig, measure: Callable[[Server], T], rounds: int) -> tuple[list[T], list[T], str]:
    """Results of each server and the reason if one is unavailable. One runs at a time; they take turns to be first."""
    results: dict[OpenServer, list[T]] = {parley_server: [], llama_server: []}
    unavailable = ""
    for number in range(rounds):
        for open_server in rotated(list(results), number):
            try:
                with open_server(rig) as server:
                    results[open_server].append(measure(server))
            except Unavailable as error:
                unavailable = str(error)
    return results[parley_server], results[llama_server], unavailable


async def _crowd(server: Server) -> CrowdTimes:
    async with _client(server) as client:
        await _converse(client, "warm-up", MEASURED[-1:], [])
        begun = time.perf_counter()
        first_tokens: list[float] = []
        async with asyncio.TaskGroup() as group:
            for person in range(PEOPLE):
                group.create_task(_converse(client, f"{person}", (MEASURED[person:] + MEASURED)[:TURNS], first_tokens))
        return CrowdTimes(total=time.perf_counter() - begun, first_tokens=first_tokens)


async def _conversations(server: Server, count: int) -> list[list[float]]:
    """Times to first token, one list per conversation, after a warm-up conversation. They run one after the other."""
    async with _client(server) as client:
        conversations: list[list[float]] = [[] for _ in range(count + 1)]
        for number, first_tokens in enumerate(conversations):
            await _converse(client, f"{number}", (MEASURED[number:] + MEASURED)[:LATER_TURN], first_tokens)
        return conversations[1:]


async def _converse(client: httpx.AsyncClient, user: str, questions: Sequence[str], first_tokens: list[float]) -> None:
    """One conversation. Appends the time to first token of each turn.

    `user` is the scope of Parley's prompt cache; llama.cpp's cache has no such scope.
    """
    messages = [{"role": "system", "content": load_persona("parley").system[LOCALE]}]
    for question in questions:
        messages.append({"role": "user", "content": question})
        answer = await reply(client, messages, TOKENS, user)
        messages.append({"role": "assistant", "content": answer.text})
        first_tokens.append(answer.first_token)


def _peak_memory(server: Server) -> float:
    asyncio.run(_fill_context(server))
    return memory_of(server.pid).peak


async def _fill_context(server: Server) -> None:
    """Fills each sequence with a different prompt that leaves room only for the reply."""
    async with _client(server) as client, asyncio.TaskGroup() as group:
        for person in range(SEQUENCES):
            text = " " + " ".join(random.Random(person).choices(WORDS, k=CONTEXT - TOKENS - TEMPLATE_TOKENS))
            group.create_task(
                reply(client, [{"role": "system", "content": ""}, {"role": "user", "content": text}], TOKENS)
            )


def _client(server: Server) -> httpx.AsyncClient:
    """A client with a long timeout and a new connection per request: a server may close an idle one as it is reused."""
    no_keepalive = httpx.Limits(max_keepalive_connections=0)
    return httpx.AsyncClient(base_url=server.url, timeout=TIMEOUT, limits=no_keepalive)


async def reply(client: httpx.AsyncClient, messages: Sequence[Message], tokens: int, user: str = "") -> StreamedReply:
    """Streams one reply. Raises WrongAnswer if it does not have exactly `tokens` tokens."""
    request = {"messages": messages, "max_tokens": tokens, "stream": True, "stream_options": {"include_usage": True}}
    request |= {"user": user, **SAMPLING}
    begun, first, text, count = time.perf_counter(), 0.0, "", 0
    async with client.stream("POST", "/v1/chat/completions", json=request) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line.removeprefix("data: "))
            piece = "".join(choice["delta"].get("content") or "" for choice in event["choices"])
            first = first or (time.perf_counter() - begun if piece else 0.0)
            text += piece
            count = (event.get("usage") or {}).get("completion_tokens", count)
    if count != tokens:
        raise WrongAnswer(f"the reply has {count} tokens, not {tokens}")
    return StreamedReply(text=text, first_token=first)
