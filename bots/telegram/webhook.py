"""Updates that Telegram brings to us: who brings them, and how large they are, is checked before they are read."""

import hmac
import json
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from core.errors import ParleyError, StoreError

PATH = "/telegram/updates"
HEADER = "X-Telegram-Bot-Api-Secret-Token"
MAX_BYTES = 1 << 20


class NotYet(ParleyError):
    """Whom an update is meant for cannot be told before the bot knows its own name."""


def webhook(secret: str, take: Callable[[object], Awaitable[None]]) -> Route:
    """A route that takes an update in before it says so. What it cannot keep, Telegram brings again."""

    async def receive(request: Request) -> Response:
        given = request.headers.get(HEADER, "")
        if not hmac.compare_digest(given.encode(), secret.encode()):
            return Response(status_code=401)
        body = await _read(request)
        if body is None:
            return Response(status_code=413)
        try:
            update = json.loads(body)
        except (ValueError, RecursionError):
            return Response(status_code=400)
        try:
            await take(update)
        except (StoreError, NotYet):
            return Response(status_code=503)
        return Response()

    return Route(PATH, receive, methods=["POST"])


async def _read(request: Request) -> bytes | None:
    """The whole body, None as soon as it is known to be too large."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BYTES:
                return None
    except ClientDisconnect:
        return b""
    return bytes(body)
