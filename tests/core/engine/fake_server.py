"""Fake HTTP server on a Unix socket with scripted faults, and chat completions on top of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.engine.protocol import Engine, Piece
from core.errors import EngineLost, EngineUnavailable
from core.prompt import ChatMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    method: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401  a test knows the shape of its request
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Connection:
    """Writes an HTTP response."""

    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def json(self, status: int, body: object) -> None:
        await self.whole(status, json.dumps(body).encode())

    async def whole(self, status: int, body: bytes) -> None:
        await self.send(
            b"HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body
        )

    async def begin(self, status: int = 200) -> None:
        """Send the head of a chunked response."""
        await self.send(b"HTTP/1.1 %d X\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" % status)

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def event(self, body: object) -> None:
        await self.chunk(b"data: %s\n\n" % (body if isinstance(body, bytes) else json.dumps(body).encode()))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    def cut(self) -> None:
        """Abort the connection, as a killed process does."""
        self.writer.transport.abort()


Answer = Callable[[Request, Connection], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class FakeServer:
    """Answers by path and records its `requests`. An answer is cancelled if its client disconnects."""

    socket_path: Path
    answers: dict[str, Answer]
    requests: list[tuple[str, Request]] = field(default_factory=list)
    running: set[asyncio.Task[None]] = field(default_factory=set)

    def asked(self, path: str) -> list[Request]:
        return [request for asked, request in self.requests if asked == path]

    async def settled(self) -> None:
        """Wait until every answer has ended or has been cancelled."""
        while self.running:
            await asyncio.wait(self.running)
            await asyncio.sleep(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.running.add(task)
        try:
            path, request = await read_request(reader)
            self.requests.append((path, request))
            await until_hung_up(self.answers.get(path, not_found)(request, Connection(writer)), reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self.running.discard(task)


@asynccontextmanager
async def fake_server(folder: Path, answers: Mapping[str, Answer]) -> AsyncIterator[FakeServer]:
    fake = FakeServer(socket_path=folder / "s", answers=dict(answers))
    server = await asyncio.start_unix_server(fake.serve, path=fake.socket_path)
    async with server:
        yield fake
        server.close()
        await fake.settled()


async def read_request(reader: asyncio.StreamReader) -> tuple[str, Request]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    method, path, _ = first.split(" ")
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return path, Request(method=method, headers=headers, body=body)


async def until_hung_up(answer: Awaitable[None], reader: asyncio.StreamReader) -> None:
    tasks = {asyncio.ensure_future(answer), asyncio.ensure_future(reader.read())}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, ConnectionError):
            raise result


async def not_found(_request: Request, to: Connection) -> None:
    await to.json(404, {"error": {"message": "no such path"}})


def chat_server(engine: Engine) -> dict[str, Answer]:
    """Answers that serve `engine` as chat completions. If the engine is lost, the connection is aborted."""

    async def models(_request: Request, to: Connection) -> None:
        await to.json(200, {"object": "list", "data": [{"id": await engine.identity(), "object": "model"}]})

    async def tokenize(request: Request, to: Connection) -> None:
        await to.json(200, {"count": await engine.count_tokens(request.json()["prompt"])})

    async def chat(request: Request, to: Connection) -> None:
        body = request.json()
        prompt = tuple(ChatMessage(**message) for message in body["messages"])
        if body.get("logprobs"):
            candidates = await engine.first_token(prompt)
            await to.json(200, {"choices": [{"logprobs": {"content": [{"top_logprobs": wire(candidates)}]}}]})
            return
        async with engine.stream(prompt, max_tokens=body["max_tokens"]) as pieces:
            await to.begin()
            try:
                async for piece in pieces:
                    await stream_piece(to, piece)
            except EngineLost:
                to.cut()
                return
        await to.event(b"[DONE]")
        await to.end()

    async def forget(request: Request, to: Connection) -> None:
        can_forget = await engine.forget(request.json()["users"])
        await to.json(200 if can_forget else 404, {"forgotten_blocks": 0} if can_forget else {})

    async def metrics(_request: Request, to: Connection) -> None:
        await to.whole(200, await engine.metrics())

    answers = {
        "/v1/models": models,
        "/tokenize": tokenize,
        "/forget": forget,
        "/metrics": metrics,
        "/v1/chat/completions": chat,
    }
    return {path: full_when_unavailable(answer) for path, answer in answers.items()}


@asynccontextmanager
async def serving(engine: Engine) -> AsyncIterator[str]:
    """Serve `engine` as chat completions on loopback; the base URL."""
    fake = FakeServer(socket_path=Path("unused"), answers=chat_server(engine))
    server = await asyncio.start_server(fake.serve, host="127.0.0.1", port=0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        server.close()
        await fake.settled()


def full_when_unavailable(answer: Answer) -> Answer:
    async def answer_or_503(request: Request, to: Connection) -> None:
        try:
            await answer(request, to)
        except EngineUnavailable:
            await to.json(503, {"error": {"message": "overloaded"}})

    return answer_or_503


def wire(candidates: Mapping[bytes, float]) -> list[dict[str, object]]:
    return [{"token": token.decode(), "bytes": list(token), "logprob": value} for token, value in candidates.items()]


async def stream_piece(to: Connection, piece: Piece) -> None:
    finish = piece.finish and str(piece.finish)
    await to.event({"choices": [{"index": 0, "delta": {"content": piece.text}, "finish_reason": finish}]})
    if piece.finish:
        usage = {"prompt_tokens": piece.usage.prompt_tokens, "completion_tokens": piece.usage.completion_tokens}
        await to.event({"choices": [], "usage": usage})
