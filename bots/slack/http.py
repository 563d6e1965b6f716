"""Slack's requests by HTTP: bounded, known to be Slack's, and only then read."""

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias
from urllib.parse import parse_qsl

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import Clock

log = structlog.get_logger()

PATH = "/slack/events"
MAX_BODY = 1_000_000
"""Bytes; Slack's own payloads stay far below."""
WINDOW = 300
"""Seconds by which a request's timestamp may differ from our clock."""
TIMESTAMP = re.compile(r"[0-9]{1,12}")
Handle: TypeAlias = Callable[[Mapping[str, object]], Awaitable[int]]
"""Takes a payload in; the HTTP status that tells Slack how it went."""


def slack_route(handle: Handle, signing_secret: str, clock: Clock) -> Route:
    """One address for events, buttons and commands."""

    async def receive(request: Request) -> Response:
        raw = await _bounded(request)
        if raw is None:
            return Response(status_code=413)
        timestamp = request.headers.get("x-slack-request-timestamp", "")
        if not is_genuine(signing_secret, timestamp, request.headers.get("x-slack-signature", ""), raw, clock.now()):
            log.warning("request with a wrong signature")  # not a word of it: it may be anybody's
            return Response(status_code=401)
        body = payload(raw)
        if body is None:
            return Response(status_code=400)
        if body.get("type") == "url_verification":
            return JSONResponse({"challenge": str(body.get("challenge", ""))})
        return Response(status_code=await handle(body))

    return Route(PATH, receive, methods=["POST"])


def is_genuine(secret: str, timestamp: str, signature: str, raw: bytes, now: float) -> bool:
    """Whether a request is from somebody who knows the secret, and was made just now."""
    if not TIMESTAMP.fullmatch(timestamp) or abs(now - int(timestamp)) > WINDOW:
        return False
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + raw, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={digest}".encode(), signature.encode("utf-8", "surrogateescape"))


def payload(raw: bytes) -> Mapping[str, object] | None:
    """The JSON of a request, or its form; a form may hold JSON as `payload`. None for what is neither."""
    try:
        text = raw.decode()
        if not text.startswith("{"):
            form = dict(parse_qsl(text, keep_blank_values=True))
            if "payload" not in form:
                return dict(form)
            text = form["payload"]
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


async def _bounded(request: Request) -> bytes | None:
    """The body, or None as soon as there is too much of it."""
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > MAX_BODY:
            return None
    return bytes(raw)
