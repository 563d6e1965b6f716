"""Conversations with a server over HTTP: time to first token, total time, peak memory."""

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

import httpx

from benchmarks.chatbots import WrongAnswer
from benchmarks.engines import PRECISIONS, Engine
from benchmarks.figures import Figure
from benchmarks.machine import memory_of
from benchmarks.pairs import Workload, figures, pairs
from benchmarks.questions import LOCALE, MEASURED, WORDS
from benchmarks.rig import Rig
from benchmarks.rounds import take_turns
from benchmarks.servers import CONTEXT, SEQUENCES, Server, open_server
from config.personas import load_persona

Message: TypeAlias = dict[str, str]

PEOPLE, TURNS, TOKENS = 8, 4, 48
LATER_TURN = 6
TIMEOUT = 600.0
TEMPLATE_TOKENS = 32
"""Tokens reserved for the chat template around a prompt."""

SAMPLING = {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "repetition_penalty": 1.0, "repeat_penalty": 1.0}
"""Sampling options of each request. llama.cpp calls the repetition penalty `repeat_penalty`."""

SERVERS = (Engine.INT4, Engine.INT8, Engine.Q4_0, Engine.Q4_K_M, Engine.Q8_0)
SERVER_NAMES = dict.fromkeys(SERVERS, "server")
TOTAL_PAIRS = [*pairs(Engine.INT4, Q4_0=2.0, Q4_K_M=None), *pairs(Engine.INT8, Q4_0=None, Q8_0=1.5)]
FIRST_TOKEN_PAIRS = [*pairs(Engine.INT4, Q4_0=3.0, Q4_K_M=None), *pairs(Engine.INT8, Q4_0=None, Q8_0=2.0)]
MEMORY_PAIRS = [*pairs(Engine.INT4, Q4_0=None, Q4_K_M=1.0), *pairs(Engine.INT8, Q8_0=1.0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamedReply:
    """Text of a reply, its length in tokens, and the time to its first token in seconds."""

    text: str
    tokens: int
    first_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdTimes:
    """Times of concurrent conversations in seconds: until the last one ended, and to the first token of each reply.

    `tokens` is the length of all replies together: a model with real weights may end some early.
    """

    total: float
    first_tokens: Sequence[float]
    tokens: int

    @property
    def scaled(self) -> float:
        """The total time if all replies had their full length, by the mean time of a token."""
        return self.total * PEOPLE * TURNS * TOKENS / self.tokens


def people(rig: Rig) -> list[Figure]:
    """Eight concurrent conversations of four turns with one system prompt, compared with llama.cpp's server."""
    measured = take_turns(SERVERS, rig.rounds, lambda engine, _: _crowd_times(rig, engine))
    name = f"{PEOPLE} people x {TURNS} turns x {TOKENS} tokens"
    total = Workload(name=f"{name}, total", unit="s")
    first = Workload(name=f"{name}, time to first token, p50", unit="s")
    return [
        *figures(total, TOTAL_PAIRS, measured, lambda times: times.scaled, SERVER_NAMES),
        *figures(first, FIRST_TOKEN_PAIRS, measured, lambda times: median(times.first_tokens), SERVER_NAMES),
    ]


def turns(rig: Rig) -> list[Figure]:
    """Time to first token of turn 6 compared with turn 1 of the same conversation, with the system prompt cached."""
    with open_server(rig, Engine.INT8) as server:
        conversations = asyncio.run(_conversations(server, rig.rounds))
    return [
        Figure(
            workload=f"turn {LATER_TURN} of a conversation, time to first token, {PRECISIONS[Engine.INT8]}",
            baseline="turn 1",
            unit="s",
            ours=[times[-1] for times in conversations],
            theirs=[times[0] for times in conversations],
            target=round(1 / 1.2, 2),
        )
    ]


def memory(rig: Rig) -> list[Figure]:
    """Peak resident memory (VmHWM) of the server after eight sequences have filled their context."""
    measured = take_turns(SERVERS, 1, lambda engine, _: _peak_memory(rig, engine))
    name = f"peak memory of the server, {SEQUENCES} x {CONTEXT} tokens"
    return list(
        figures(Workload(name=name, unit="MiB resident", digits=0), MEMORY_PAIRS, measured, float, SERVER_NAMES)
    )


def _crowd_times(rig: Rig, engine: Engine) -> CrowdTimes:
    with open_server(rig, engine) as server:
        times = asyncio.run(_crowd(server))
    print(f"{engine}, {PEOPLE} people: {times.scaled:.2f} s, {times.tokens} tokens", file=sys.stderr)
    return times


async def _crowd(server: Server) -> CrowdTimes:
    async with _client(server) as client:
        await _converse(client, "warm-up", MEASURED[-1:])
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            conversations = [
                group.create_task(_converse(client, f"{person}", (MEASURED[person:] + MEASURED)[:TURNS]))
                for person in range(PEOPLE)
            ]
        total = time.perf_counter() - begun
    replies = [one for conversation in conversations for one in conversation.result()]
    first_tokens, tokens = [one.first_token for one in replies], sum(one.tokens for one in replies)
    return CrowdTimes(total=total, first_tokens=first_tokens, tokens=tokens)


async def _conversations(server: Server, count: int) -> list[list[float]]:
    """Times to first token, one list per conversation, after a warm-up conversation. They run one after the other."""
    async with _client(server) as client:
        conversations = [
            await _converse(client, f"{number}", (MEASURED[number:] + MEASURED)[:LATER_TURN])
            for number in range(count + 1)
        ]
    return [[one.first_token for one in conversation] for conversation in conversations[1:]]


async def _converse(client: httpx.AsyncClient, user: str, questions: Sequence[str]) -> list[StreamedReply]:
    """The replies of one conversation.

    `user` is the scope of Parley's prompt cache; llama.cpp's cache has no such scope.
    """
    messages, replies = [{"role": "system", "content": load_persona("parley").system[LOCALE]}], []
    for question in questions:
        messages.append({"role": "user", "content": question})
        answer = await reply(client, messages, TOKENS, user)
        messages.append({"role": "assistant", "content": answer.text})
        replies.append(answer)
    return replies


def _peak_memory(rig: Rig, engine: Engine) -> float:
    """The first start is not measured, because it may convert the weights."""
    with open_server(rig, engine):
        pass
    with open_server(rig, engine) as server:
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
    """Streams one reply of at most `tokens` tokens. Raises WrongAnswer if it has more, or none."""
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
    if not 0 < count <= tokens:
        raise WrongAnswer(f"the reply has {count} tokens, not 1 to {tokens}")
    return StreamedReply(text=text, tokens=count, first_token=first)
