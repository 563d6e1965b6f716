"""Delivers events to the app by Socket Mode or HTTP, and retries until they are acknowledged."""

import asyncio
import hashlib
import hmac
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from tests.fakes.slack.clock import Clock
from tests.fakes.slack.journal import Journal
from tests.fakes.slack.workspace import APP, SIGNING_SECRET, TEAM

TIMEOUT, RETRIES = 3.0, (3.0, 63.0, 303.0)
"""The time limit for an acknowledgement, and the times of the retries after the first attempt; in seconds."""


@dataclass(slots=True, kw_only=True)
class Sending:
    """One event or gesture. `due` are the times of its retries; gestures are not retried.

    `waited` is the real seconds until it was acknowledged, from when it began.
    """

    kind: str
    body: dict[str, Any]
    due: list[float] = field(default_factory=list)
    attempts: int = 0
    acknowledged: bool = False
    begun: float = field(default_factory=time.monotonic)
    waited: float = 0.0


class Events:
    """Sends to the sockets in turn, or to the URL `http` if it is set."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.journal = journal
        self.clock = clock
        self.sendings: dict[str, Sending] = {}
        self.sockets: list[web.WebSocketResponse] = []
        self.http = ""
        self.muted: set[str] = set()
        self._ids = count(1)
        self._turns = count(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._insisting: asyncio.Task[None] | None = None

    def emit(self, event: dict[str, Any]) -> None:
        """Send an event if the app is subscribed to its type."""
        if event["type"] in self.muted:
            return
        event_id = f"Ev{next(self._ids)}"
        body = {"type": "event_callback", "team_id": TEAM, "api_app_id": APP, "event_id": event_id, "event": event}
        due = [self.clock.now + after for after in RETRIES]
        self._begin(event_id, Sending(kind="events_api", body=body, due=due))

    def gesture(self, kind: str, body: dict[str, Any]) -> None:
        """Send a button press or a slash command, once."""
        self._begin(f"Gs{next(self._ids)}", Sending(kind=kind, body=body))

    def advance(self) -> None:
        """Make the retries that are due."""
        for name, sending in self.sendings.items():
            while not sending.acknowledged and sending.due and sending.due[0] <= self.clock.now:
                sending.due.pop(0)
                self._send(name, sending)

    def insist(self, seconds: float) -> None:
        """Retry all events every `seconds` of real time, for a bot with a real clock; 0 ends it."""
        if self._insisting:
            self._insisting.cancel()
        self._insisting = asyncio.create_task(self._insist(seconds)) if seconds else None

    def acknowledge(self, envelope: str) -> None:
        sending = self.sendings[envelope]
        if not sending.acknowledged:
            sending.acknowledged, sending.waited = True, time.monotonic() - sending.begun
        self.journal.changed()

    async def _insist(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            for name, sending in self.sendings.items():
                if sending.kind == "events_api" and not sending.acknowledged:
                    self._send(name, sending)

    def _begin(self, name: str, sending: Sending) -> None:
        self.sendings[name] = sending
        self._send(name, sending)

    def _send(self, name: str, sending: Sending) -> None:
        sending.attempts += 1
        self.journal.changed()
        if self.http:
            self._keep(self._post(name, sending))
        elif self.sockets:
            self._keep(self._frame(self.sockets[next(self._turns) % len(self.sockets)], name, sending))

    async def _frame(self, socket: web.WebSocketResponse, name: str, sending: Sending) -> None:
        envelope: dict[str, object] = {"envelope_id": name, "type": sending.kind, "payload": sending.body}
        envelope |= {"accepts_response_payload": sending.kind == "slash_commands"}
        if sending.attempts > 1:
            envelope |= {"retry_attempt": sending.attempts - 1, "retry_reason": "timeout"}
        with suppress(ConnectionError):  # the app has gone
            await socket.send_json(envelope)

    async def _post(self, name: str, sending: Sending) -> None:
        raw, kind = _encoded(sending)
        headers = signed(raw, int(self.clock.now)) | {"Content-Type": kind}
        if sending.attempts > 1:
            headers |= {"X-Slack-Retry-Num": str(sending.attempts - 1), "X-Slack-Retry-Reason": "http_error"}
        async with aiohttp.ClientSession() as session:
            try:
                async with session.post(self.http, data=raw, headers=headers) as response:
                    if response.status == 200:
                        self.acknowledge(name)
            except aiohttp.ClientError:
                pass

    def _keep(self, work: Any) -> None:  # noqa: ANN401  a coroutine
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def signed(raw: bytes, timestamp: int, secret: str = SIGNING_SECRET) -> dict[str, str]:
    """The signature headers of a request from Slack."""
    digest = hmac.new(secret.encode(), b"v0:%d:%s" % (timestamp, raw), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": str(timestamp), "X-Slack-Signature": f"v0={digest}"}


def _encoded(sending: Sending) -> tuple[bytes, str]:
    form = "application/x-www-form-urlencoded"
    match sending.kind:
        case "events_api":
            return json.dumps(sending.body).encode(), "application/json"
        case "interactive":
            return urlencode({"payload": json.dumps(sending.body)}).encode(), form
        case _:
            return urlencode(sending.body).encode(), form
