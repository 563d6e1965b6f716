"""Telegram's webhook: the sender's secret and the size of a request are checked before its body is parsed."""

import hmac
import json
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from core.body import read_body
from core.errors import ParleyError, StoreError

PATH = "/telegram/updates"
HEADER = "X-Telegram-Bot-Api-Secret-Token"
MAX_BYTES = 1 << 20


class NotReady(ParleyError):
    """The bot does not know its own name yet, so it cannot tell whether an update is addressed to it."""


def telegram_route(take: Callable[[object], Awaitable[None]], secret: str) -> Route:
    """The route for updates. Status 200 follows the commit; Telegram sends an update again after any other status."""

    async def receive(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(HEADER, "").encode(), secret.encode()):
            return Response(status_code=401)
        try:
            body = await read_body(request, MAX_BYTES)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return Response(status_code=413)
        try:
            update = json.loads(body)
        except (ValueError, RecursionError):
            return Response(status_code=400)
        try:
            await take(update)
        except (StoreError, NotReady):
            return Response(status_code=503)
        return Response()

    return Route(PATH, receive, methods=["POST"])
