"""Requests of somebody who wants to see what others have said, or to bring the bot down."""

import asyncio
import json
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from starlette.types import ASGIApp

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD")
NUMBERS = (0, 1, 2, 3, -1, 2**31, 2**63 - 1, 2**63, 10**400, 1.5, float("nan"))
WORDS = (
    "hello",
    "/forget yes",
    "/stop",
    "/stats",
    "/again",
    "\x00",
    "\ud800",
    "🦊" * 50,
    "a" * 20_000,
    "",
    "{seconds}",
)
NAMES = (b"alice", b"k-shop:alice", b"alice\xff", b"../alice", b"a" * 65, b"", b"%61lice", b"bob")
HEADERS: Mapping[bytes, Sequence[bytes]] = {
    b"content-type": (b"application/json", b"application/json", b"text/plain", b"multipart/form-data", b"\xff"),
    b"accept": (b"text/event-stream", b"application/json", b"*/*"),
    b"prefer": (b"respond-async", b"wait=1"),
    b"idempotency-key": (b"a-1", b"x" * 201, b"\xff"),
    b"accept-language": (b"zh-CN", b";;;,", b"\xff" * 30),
    b"origin": (b"https://shop.example", b"http://evil.example", b"null"),
    b"sec-fetch-site": (b"same-origin", b"cross-site"),
    b"host": (b"evil.example", b"[", b"localhost:99999"),
    b"range": (b"bytes=0-1", b"bytes=-1", b"bytes=9-1,2-"),
    b"x-forwarded-for": (b"127.0.0.1", b"alice"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, to any route or to another path."""

    method: str
    path: str
    query: str
    headers: dict[str, bytes] = field(default_factory=dict)
    body: bytes = b""


def request(chance: Random, paths: Sequence[str], credentials: Mapping[str, bytes]) -> Asked:
    """A request to one of the paths with these credentials, well formed in most parts."""
    headers = {b"host": b"localhost", b"content-type": b"application/json"}
    headers |= {
        name: chance.choice(HEADERS[name]) for name in chance.sample(sorted(HEADERS), chance.choice((0, 0, 1, 3)))
    }
    if chance.random() < 0.6:
        headers[b"parley-user"] = chance.choice((b"alice", chance.choice(NAMES)))
    return Asked(
        method=chance.choice(("POST", "GET", chance.choice(METHODS))),
        path=chance.choice(paths),
        query="" if chance.random() < 0.8 else chance.choice(("user=alice", "turn=1", "lang=zh", "%00", "=&=&")),
        headers={name.decode(): value for name, value in headers.items()} | dict(credentials),
        body=_body(chance),
    )


def _body(chance: Random) -> bytes:
    turn: object = chance.choice((*NUMBERS, "1", None, [1], {"turn": 1}))
    shapes: Sequence[object] = (
        {"text": chance.choice((*WORDS, 1, None, ["a"]))},
        {"turn": turn, "vote": chance.choice(("up", "down", "left", 1))},
        {"turn": turn, "button": chance.choice(("again", "stop", "yes", "no", "human", "take", "__class__", ""))},
    )
    body = json.dumps(chance.choice(shapes)).encode()
    match chance.randrange(12):
        case 0:
            return chance.randbytes(chance.randrange(60))
        case 1:
            return body[: chance.randrange(len(body) + 1)]
        case 2:
            return b"[" * chance.choice((10, 5_000))
        case _:
            return body


async def answer(app: ASGIApp, asked: Asked, client: str = "127.0.0.1") -> tuple[int, bytes]:
    """Status and body of the response. The client hangs up once it has the first part of it."""
    sent: list[MutableMapping[str, Any]] = []
    has_part = asyncio.Event()
    requests = iter([{"type": "http.request", "body": asked.body, "more_body": False}])

    async def receive() -> MutableMapping[str, Any]:
        if (message := next(requests, None)) is not None:
            return message
        await has_part.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)
        if message.get("body"):
            has_part.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": asked.path,
        "raw_path": asked.path.encode(),
        "root_path": "",
        "query_string": asked.query.encode(),
        "headers": [(name.encode(), value) for name, value in asked.headers.items()],
        "client": (client, 50_000),
        "server": ("127.0.0.1", 8080),
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)
