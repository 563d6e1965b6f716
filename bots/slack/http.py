"""Slack's requests by HTTP: the size and the signature of a request are checked before its body is parsed."""

import hashlib
import hmac
import re
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bots.slack.payloads import Payload, UrlVerification, decode, parse
from core.body import read_body
from core.clock import Clock

log = structlog.get_logger()

PATH = "/slack/events"
MAX_BYTES = 1_000_000
"""Slack's own payloads are far smaller."""
WINDOW = 300
"""Seconds by which a request's timestamp may differ from our clock."""
TIMESTAMP = re.compile(r"[0-9]{1,12}")
Take: TypeAlias = Callable[[Payload | None], Awaitable[int]]
"""Takes a payload, None for a kind that is not read; the HTTP status to answer Slack with."""


def slack_route(take: Take, signing_secret: str, clock: Clock) -> Route:
    """The route for events, buttons and slash commands. Slack sends events again after any status but 200."""

    async def receive(request: Request) -> Response:
        try:
            body = await read_body(request, MAX_BYTES)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return Response(status_code=413)
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        if not is_genuine(signing_secret, timestamp, request.headers.get("x-slack-signature", ""), body, clock.now()):
            log.warning("request with a wrong signature")  # its content is not logged, as its sender is unknown
            return Response(status_code=401)
        fields = decode(body)
        if fields is None:
            return Response(status_code=400)
        payload = parse(fields)
        if isinstance(payload, UrlVerification):
            return JSONResponse({"challenge": payload.challenge})
        return Response(status_code=await take(payload))

    return Route(PATH, receive, methods=["POST"])


def is_genuine(secret: str, timestamp: str, signature: str, body: bytes, now: float) -> bool:
    """Whether a request was signed with the secret within the last five minutes."""
    if not TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > WINDOW:
        return False
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={digest}".encode(), signature.encode("utf-8", "surrogateescape"))
