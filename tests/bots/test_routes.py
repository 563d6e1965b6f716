"""Every route of the gateway's web port, and requests of any form to each of them."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from bots.admin.office import open_office
from bots.admin.site import admin_site
from bots.app import Bot
from bots.slack.adapter import open_slack
from bots.slack.http import PATH as SLACK
from bots.telegram.adapter import open_telegram
from bots.telegram.http import HEADER
from bots.telegram.http import PATH as TELEGRAM
from bots.web.front import open_web
from bots.web.server import web_app
from config.settings import Settings, SlackSettings, TelegramSettings, WebSettings
from core.admission import Admission
from core.clock import ManualClock
from core.engine.scripted import ScriptedEngine
from core.store import open_store
from tests.fakes.slack.events import signed
from tests.fakes.slack.workspace import BOT_TOKEN, SIGNING_SECRET
from tests.options import limits_with

OPEN = ("/", "/api/docs", "/health", "/metrics", "/ready", "/widget.js")
"""Routes that anybody may ask."""
SIGNED = (SLACK, TELEGRAM)
"""Those of the platforms, which sign or name a secret."""
MOUNTED = ("/admin", "/api", "/static")
GUARDED = ("/api/chat", "/api/events", "/api/feedback", "/api/forget", "/api/history", "/api/press")
"""Those that need a key or the page's cookie."""
FILES = ("/api/openapi.json", "/static/chat.js", "/static/../chat.html", "/static/%2e%2e/front.py", "/static/")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "ODD")
SECRET = "a-secret-of-this-test"
TOKEN_HEADERS = ("authorization", "cookie", HEADER, "x-slack-signature", "x-slack-request-timestamp")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, to any route or to another path."""

    method: str
    path: str
    query: str
    headers: dict[str, bytes] = field(default_factory=dict)
    body: bytes = b""


VALUES = st.binary(max_size=20).filter(lambda value: not {0, 10, 13}.intersection(value))
ASKED = st.builds(
    Asked,
    method=st.sampled_from(METHODS),
    path=st.sampled_from((*OPEN, *SIGNED, *GUARDED, *FILES))
    | st.sampled_from(("/telegram", "/slack/events/", "/Ready", "//ready", "/api", "/api/nothing")),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=10),
    headers=st.dictionaries(st.sampled_from((*TOKEN_HEADERS, "content-type", "origin", "accept")), VALUES, max_size=4),
    body=BODIES,
)


@asynccontextmanager
async def site() -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """The web application with both real front ends, which have not reached their platforms yet."""
    clock = ManualClock()
    telegram = {"token": "7001:of-this-test", "mode": "webhook", "webhook_url": "https://x", "webhook_secret": SECRET}
    slack = {"bot_token": BOT_TOKEN, "signing_secret": SIGNING_SECRET}
    async with (
        open_store("sqlite://") as store,
        open_telegram(TelegramSettings.model_validate(telegram), clock) as first,
        open_slack(SlackSettings.model_validate(slack), clock, shared_history=False) as second,
        open_web(WebSettings(chat=True, api=True, origins=("https://shop.example",)), clock) as third,
    ):
        admission = Admission(store, clock, limits_with(), Idle())
        bot = Bot(admission=admission, store=store, engine=ScriptedEngine.fixed("ok"))
        office = open_office(bot, [third], Settings(), clock)
        app = web_app(bot, [first, second, third], clock, more=[admin_site(office)])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            yield app, client


class Idle:
    def notify(self) -> None:
        pass

    def interrupt(self, turn_id: int) -> None:
        pass


async def ask(client: httpx.AsyncClient, asked: Asked) -> int:
    url = f"{asked.path}?{asked.query}"
    headers = {name.encode(): value for name, value in asked.headers.items()}
    return (await client.request(asked.method, url, headers=headers, content=asked.body)).status_code


async def test_every_route_is_known_here() -> None:
    """The web port has these routes: a new one is listed here too, among the open or the signed ones."""
    async with site() as (app, _):
        assert sorted(route.path for route in app.routes if isinstance(route, Route)) == sorted(OPEN + SIGNED)
        assert sorted(route.path for route in app.routes if isinstance(route, Mount)) == sorted(MOUNTED)
        assert len(app.routes) == len(OPEN + SIGNED + MOUNTED)
        described = next(route.app for route in app.routes if isinstance(route, Mount) and route.path == "/api")
        assert isinstance(described, FastAPI)
        assert sorted(f"/api{path}" for path in described.openapi()["paths"]) == sorted(GUARDED)


async def test_without_a_signature_there_is_nothing() -> None:
    """A request to a platform's route without its secret gets 401, by another method 405."""
    async with site() as (_, client):
        for asked in [Asked(method=method, path=path, query="") for method in METHODS for path in SIGNED]:
            assert await ask(client, asked) == (401 if asked.method == "POST" else 405), asked


async def _any_request_is_answered(asked: list[Asked]) -> None:
    async with site() as (_, client):
        for one in asked:
            status = await ask(client, one)
            assert status < 500 or (status, one.path) == (503, "/ready"), one
            assert one.path not in SIGNED or status in {401, 403, 405}, one
            assert one.path not in GUARDED or status in {401, 403, 405, 422}, one


@settings(max_examples=4, suppress_health_check=list(HealthCheck))
@given(asked=st.lists(ASKED, min_size=60, max_size=60))
async def test_any_request_is_answered(asked: list[Asked]) -> None:
    """No request is a server error, but for /ready without platforms; none without a secret passes a signed route."""
    await _any_request_is_answered(asked)


@pytest.mark.long
@settings(max_examples=200, derandomize=False, suppress_health_check=list(HealthCheck))
@given(asked=st.lists(ASKED, min_size=100, max_size=100))
async def test_any_of_many_requests_is_answered(asked: list[Asked]) -> None:
    """The same for 2,000 requests to each route."""
    await _any_request_is_answered(asked)


@settings(max_examples=3, suppress_health_check=list(HealthCheck))
@given(bodies=st.lists(BODIES, min_size=30, max_size=30))
async def test_any_signed_body_is_taken_or_refused(bodies: list[bytes]) -> None:
    """Whatever a platform sends is taken, refused as malformed, or put off until the platform has been reached."""
    async with site() as (_, client):
        for body in bodies:
            slack = await client.post(SLACK, content=body, headers=signed(body, int(ManualClock().now())))
            telegram = await client.post(TELEGRAM, content=body, headers={HEADER: SECRET})
            assert {slack.status_code, telegram.status_code} <= {200, 400, 503}, body
