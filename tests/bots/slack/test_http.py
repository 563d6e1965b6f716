"""Slack's requests by HTTP, genuine and forged."""

import json
from collections.abc import Mapping

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from bots.slack.http import MAX_BYTES, is_genuine, slack_route
from bots.slack.payloads import EventCallback, Payload, decode, parse
from core.clock import ManualClock
from tests.fakes.slack.events import signed
from tests.fakes.slack.workspace import SIGNING_SECRET

NOW = ManualClock().now()
EVENT = {"type": "app_home_opened", "channel": "D1", "tab": "messages", "user": "U1"}
BODY = json.dumps({"type": "event_callback", "event_id": "Ev1", "event": EVENT}).encode()


class Door:
    def __init__(self) -> None:
        self.taken: list[Payload | None] = []
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=Starlette(routes=[slack_route(self, SIGNING_SECRET, ManualClock())])),
            base_url="http://parley",
        )

    async def __call__(self, payload: Payload | None) -> int:
        self.taken.append(payload)
        return 200

    async def post(self, raw: bytes, headers: Mapping[str, str]) -> httpx.Response:
        async with self.http:
            return await self.http.post("/slack/events", content=raw, headers=headers)


async def test_signed_request_is_taken() -> None:
    """A signed request is accepted and parsed."""
    door = Door()
    assert (await door.post(BODY, signed(BODY, int(NOW)))).status_code == 200
    assert door.taken == [parse(json.loads(BODY))]
    assert isinstance(door.taken[0], EventCallback)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(BODY, int(NOW), "another secret"),
        signed(BODY + b" ", int(NOW)),
        signed(BODY, int(NOW)) | {"X-Slack-Request-Timestamp": str(int(NOW) + 1)},
        signed(BODY, int(NOW)) | {"X-Slack-Request-Timestamp": "soon"},
        signed(BODY, int(NOW)) | {"X-Slack-Request-Timestamp": "9" * 5_000},
        signed(BODY, int(NOW)) | {"X-Slack-Signature": "v0="},
        signed(BODY, int(NOW) - 301),
        signed(BODY, int(NOW) + 301),
    ],
)
async def test_forged_request_is_refused(headers: Mapping[str, str]) -> None:
    """A request with a wrong or an old signature gets 401 and is not parsed."""
    door = Door()
    assert (await door.post(BODY, headers)).status_code == 401
    assert not door.taken


@pytest.mark.parametrize("age", [-299, 0, 299])
async def test_clocks_may_differ_by_five_minutes(age: int) -> None:
    """A signature is accepted up to five minutes early or late."""
    assert (await Door().post(BODY, signed(BODY, int(NOW) - age))).status_code == 200


@given(st.text(), st.text(), st.binary())
def test_strange_signatures_are_wrong(timestamp: str, signature: str, raw: bytes) -> None:
    """Any text in the headers gives False, not an exception."""
    assert not is_genuine(SIGNING_SECRET, timestamp, signature, raw, NOW)


async def test_body_is_bounded_before_it_is_read() -> None:
    """A body over the limit gets 413."""
    big = b"x" * (MAX_BYTES + 1)
    assert (await Door().post(big, signed(big, int(NOW)))).status_code == 413


@pytest.mark.parametrize(
    "raw", [b"{", b"\xff", b"{" * 100_000, b'{"a":' + b"[" * 100_000, b'{"a":' + b"9" * 5_000 + b"}"]
)
async def test_malformed_body_is_a_bad_request(raw: bytes) -> None:
    """A signed body that is not valid JSON gets 400."""
    assert (await Door().post(raw, signed(raw, int(NOW)))).status_code == 400


async def test_address_is_verified() -> None:
    """The challenge of a URL verification is returned."""
    raw = json.dumps({"type": "url_verification", "challenge": "abc"}).encode()
    assert (await Door().post(raw, signed(raw, int(NOW)))).json() == {"challenge": "abc"}


def test_forms_and_their_payloads() -> None:
    """A slash command is a form, even if its text mentions a payload; a button's form holds JSON."""
    assert decode(b"command=%2Fparley&text=my+payload") == {"command": "/parley", "text": "my payload"}
    assert decode(b"payload=%7B%22type%22%3A%22block_actions%22%7D") == {"type": "block_actions"}
