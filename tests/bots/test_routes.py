"""Every route of the gateway's web port, and requests of any form to each of them."""

import gc
import json
import re
import resource
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from bots.admin.office import open_office
from bots.admin.site import admin_site
from bots.app import Bot
from bots.fronts import Deliveries
from bots.slack.adapter import open_slack
from bots.slack.http import PATH as SLACK
from bots.telegram.adapter import open_telegram
from bots.telegram.http import HEADER
from bots.telegram.http import PATH as TELEGRAM
from bots.web.front import open_web
from bots.web.server import web_app
from config.settings import Settings, SlackSettings, TelegramSettings, WebSettings
from core.admission import Admission
from core.chat import chatbot
from core.clock import Clock, ManualClock, SystemClock
from core.engine.scripted import ScriptedEngine
from core.keys import Scope, add_key, revoke_key
from core.operators import set_password
from core.stages.cache import AnswerCache
from core.stages.mood import MoodReader
from core.store import Store, open_store
from core.tokens import ENTROPY_BYTES
from core.worker import Worker, working
from tests.bots.admin.headquarters import HASHED
from tests.bots.gateway import Note
from tests.bots.hostile import METHODS, Asked, answer, request
from tests.bots.web.site import LIMITS, PERSONA
from tests.fakes.slack.events import signed
from tests.fakes.slack.workspace import BOT_TOKEN, SIGNING_SECRET
from tests.options import chat_with, worker_with

OPEN = ("/", "/api/docs", "/health", "/metrics", "/ready", "/widget.js")
"""Routes that anybody may ask."""
SIGNED = (SLACK, TELEGRAM)
"""Those of the platforms, which sign or name a secret."""
MOUNTED = ("/admin", "/api", "/static")
GUARDED = ("/api/chat", "/api/events", "/api/feedback", "/api/forget", "/api/history", "/api/press")
"""Those that need a key or the page's cookie."""
OPERATORS = (
    *("/admin/", "/admin/charts/messages.svg", "/admin/conversations", "/admin/conversations/1", "/admin/dead-letters"),
    *("/admin/dead-letters/drop", "/admin/dead-letters/retry", "/admin/gaps", "/admin/gaps/1", "/admin/gaps/answer"),
    *("/admin/health", "/admin/people", "/admin/people/decide", "/admin/people/forget", "/admin/queue"),
    *("/admin/queue/now", "/admin/search", "/admin/settings", "/admin/sign-in", "/admin/sign-out"),
)
"""Those of operators, who have signed in."""
FILES = ("/api/openapi.json", "/static/chat.js", "/static/../chat.html", "/static/%2e%2e/front.py", "/static/")
SECRET = "a-secret-of-this-test"
TOKEN_HEADERS = ("authorization", "cookie", HEADER, "x-slack-signature", "x-slack-request-timestamp")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
BODIES = st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode())


VALUES = st.binary(max_size=20).filter(lambda value: not {0, 10, 13}.intersection(value))
ASKED = st.builds(
    Asked,
    method=st.sampled_from(METHODS),
    path=st.sampled_from((*OPEN, *SIGNED, *GUARDED, *OPERATORS, *FILES))
    | st.sampled_from(("/telegram", "/slack/events/", "/Ready", "//ready", "/api", "/api/nothing")),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=10),
    headers=st.dictionaries(st.sampled_from((*TOKEN_HEADERS, "content-type", "origin", "accept")), VALUES, max_size=4),
    body=BODIES,
)


@asynccontextmanager
async def site() -> AsyncIterator[tuple[Starlette, httpx.AsyncClient]]:
    """The web application with both real front ends, which have not reached their platforms yet."""
    async with open_store("sqlite://") as store, composed(store, ManualClock()) as app, _client(app) as client:
        yield app, client


def _client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1")


@asynccontextmanager
async def composed(store: Store, clock: Clock) -> AsyncIterator[Starlette]:
    telegram = {"token": "7001:of-this-test", "mode": "webhook", "webhook_url": "https://x", "webhook_secret": SECRET}
    slack = {"bot_token": BOT_TOKEN, "signing_secret": SIGNING_SECRET}
    async with (
        open_telegram(TelegramSettings.model_validate(telegram), clock) as first,
        open_slack(SlackSettings.model_validate(slack), clock, shared_history=False) as second,
        open_web(WebSettings(chat=True, api=True, origins=("https://shop.example",)), clock) as third,
    ):
        engine = ScriptedEngine.echo()
        answers = AnswerCache(size=16, ttl=60, timer=clock.monotonic)
        handler = chatbot(store, engine, MoodReader(engine), answers, clock, chat_with(persona=PERSONA))
        worker = Worker(store, handler, Deliveries([third]), clock, worker_with(owner="site"))
        bot = Bot(admission=Admission(store, clock, LIMITS, worker), store=store, engine=engine)
        async with working(worker, grace=0.1):
            admin = admin_site(open_office(bot, [third], Settings(), clock))
            yield web_app(bot, [first, second, third], clock, more=[admin])


async def ask(client: httpx.AsyncClient, asked: Asked) -> int:
    url = f"{asked.path}?{asked.query}"
    headers = {name.encode(): value for name, value in asked.headers.items()}
    client.cookies.clear()  # the page gives everybody one, and a stranger has none
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
        pages = next(route.app for route in app.routes if isinstance(route, Mount) and route.path == "/admin")
        assert isinstance(pages, FastAPI)
        assert sorted(PARAMETER.sub(_example, f"/admin{path}") for path in pages.openapi()["paths"]) == sorted(
            OPERATORS
        )


def _example(parameter: re.Match[str]) -> str:
    return "messages" if parameter[0] == "{name}" else "1"


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
            assert one.path not in OPERATORS or status in TO_STRANGERS, one
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


PATHS = (
    *GUARDED,
    *GUARDED,
    *OPERATORS,
    *OPEN,
    *SIGNED,
    *FILES,
    "/api",
    "//api/history",
    "/api/../api/history",
    "/api/history/",
)
SECRETS = ("the-word-of-alice", "the-word-of-her-program")
WARM_UP, GROWTH = 0.2, 4 << 20
"""The part of the requests after which memory is measured first, and the bytes by which it may grow from then on."""
NOTHING = frozenset({400, 401, 403, 404, 405, 421, 422})
"""Statuses of a guarded route for those whom it does not know. FastAPI reads the body first: 400 if it is no JSON."""
TO_STRANGERS = NOTHING | {429}
"""Statuses of an operator's route for them: too many tries to sign in are one more."""
PARAMETER = re.compile(r"{\w+}")
MANY = 50_000
ADDRESSES = 200
OTHERS_VOTES = sa.text("SELECT count(*) FROM votes WHERE turn_id <= 2")
"""The turns of Alice are the first two, and she casts no vote."""
STATM = Path("/proc/self/statm")


async def test_a_hostile_person_sees_nothing_of_others(tmp_path: Path, record_property: Note) -> None:
    """Keys and cookies of their own, forged, revoked or of another scope: no server error, and nothing of Alice's."""
    await _withstands(tmp_path, 400, record_property)


@pytest.mark.long
async def test_many_hostile_requests_hold_no_memory(tmp_path: Path, record_property: Note) -> None:
    """The same for 50,000 requests to one bot, whose memory stays as it was after a fifth of them."""
    resident = await _withstands(tmp_path, MANY, record_property)
    assert max(resident) - resident[0] < GROWTH


async def _withstands(folder: Path, requests: int, note: Note) -> list[int]:
    """Ask hostile things of a bot to which Alice has written, at the page and by a program. Returns the resident bytes
    after the warm-up, in the middle and at the end.
    """
    chance, clock = Random(requests), SystemClock()
    resident: list[int] = []
    statuses: Counter[int] = Counter()
    async with open_store(f"sqlite:///{folder}/parley.db") as store, composed(store, clock) as app:
        shop, other, old = [await _key(store, name, Scope.CHAT) for name in ("shop", "other", "old")]
        metrics = await _key(store, "metrics", Scope.METRICS)
        await store.run(set_password, HASHED)
        await store.run(revoke_key, "old", clock.now())
        cookie, own_cookie = await _cookie(app), await _cookie(app)
        hers = {"cookie": cookie}, {"authorization": shop, "parley-user": b"alice"}
        seen = [await _said(app, headers, word) for headers, word in zip(hers, SECRETS, strict=True)]
        own = {"authorization": other}, {"cookie": own_cookie}
        forged = _forged(shop, cookie, own_cookie, metrics, old)
        aimed = [(one in own, asked) for one in (*own, *forged) for asked in _aimed(one)]
        for number in range(1, requests + 1):
            has_own = chance.random() < 0.3
            asked = request(chance, PATHS, chance.choice(own if has_own else forged))
            if aimed:
                has_own, asked = aimed.pop()
            status, body = await answer(app, asked, f"192.0.2.{chance.randrange(ADDRESSES)}")
            statuses[status] += 1
            assert status < 500 or (status, asked.path) == (503, "/ready"), asked
            assert not any(word.encode() in body for word in SECRETS), asked
            assert has_own or asked.path not in GUARDED or status in NOTHING, (status, asked)
            assert asked.path not in SIGNED or status in {401, 403, 405}, asked
            assert asked.path not in OPERATORS or status in TO_STRANGERS, (status, asked)
            if number in {int(requests * part) for part in (WARM_UP, 0.6, 1)}:
                resident.append(_resident())
        assert [await answer(app, _history(headers)) for headers in hers] == seen
        assert await store.read(lambda connection: connection.scalar(OTHERS_VOTES)) == 0
    note("statuses", dict(statuses))
    note("resident MiB", [round(size / (1 << 20), 1) for size in resident])
    return resident


def _aimed(credentials: Mapping[str, bytes]) -> Iterator[Asked]:
    """A sound request to each guarded route that is about Alice and her turns, which are the first two."""
    headers = {"host": b"localhost", "content-type": b"application/json", "parley-user": b"alice", **credentials}
    for path in ("/api/history", "/api/events"):
        yield Asked(method="GET", path=path, query="", headers=headers)
    for turn in (1, 2):
        for path, body in (
            ("/api/feedback", {"turn": turn, "vote": "up"}),
            ("/api/press", {"turn": turn, "button": "again"}),
            ("/api/press", {"turn": turn, "button": "down"}),
            ("/api/chat", {"text": "/again"}),
            ("/api/forget", {}),
        ):
            yield Asked(method="POST", path=path, query="", headers=headers, body=json.dumps(body).encode())


def _forged(*stolen: bytes) -> Sequence[Mapping[str, bytes]]:
    """Credentials that open nothing: none, wrong ones, and these in the wrong place, or with one byte changed."""
    shop, cookie, own_cookie, metrics, old = stolen
    name, signature = cookie.removeprefix(b"parley=").split(b".", 1)
    return (
        {},
        {"authorization": metrics},
        {"authorization": old},
        {"authorization": shop[:-1] + b"!", "parley-user": b"alice"},
        {"authorization": shop.removeprefix(b"Bearer ")},
        {"authorization": b"Bearer " + cookie},
        {"authorization": b"Bearer " + b"\xff" * 40},
        {"cookie": b"parley=" + shop},
        {"cookie": b"parley=" + name},
        {"cookie": b"parley=" + name + b"." + own_cookie.rpartition(b".")[2]},
        {"cookie": b"parley=" + name + b"." + signature[:-1]},
        {"cookie": b"parley=k-shop:alice." + signature},
        {"cookie": b"parley=\xff; other=1"},
        {"cookie": b"parley-operator=" + cookie.removeprefix(b"parley=")},
        {"cookie": b"parley-operator=" + shop.removeprefix(b"Bearer ")},
        {"cookie": cookie, "sec-fetch-site": b"cross-site", "origin": b"https://evil.example"},
    )


async def _key(store: Store, name: str, scope: Scope) -> bytes:
    entropy = name.encode().ljust(ENTROPY_BYTES, b"-")
    return b"Bearer " + (await store.run(add_key, name, [scope], entropy, 0.0)).encode()


async def _cookie(app: ASGIApp) -> bytes:
    """The cookie of a new browser."""
    async with _client(app) as client:
        return (await client.get("/")).headers["set-cookie"].partition(";")[0].encode()


async def _said(app: ASGIApp, headers: Mapping[str, bytes], word: str) -> tuple[int, bytes]:
    """Say a word. Returns the history, which has it and its answer."""
    sent = {"host": b"localhost", "content-type": b"application/json", **headers}
    body = json.dumps({"text": word}).encode()
    await answer(app, Asked(method="POST", path="/api/chat", query="", headers=sent, body=body))
    history = await answer(app, _history(headers))
    assert word.encode() in history[1]
    return history


def _history(headers: Mapping[str, bytes]) -> Asked:
    return Asked(method="GET", path="/api/history", query="", headers={"host": b"localhost", **headers})


def _resident() -> int:
    gc.collect()
    return int(STATM.read_text().split()[1]) * resource.getpagesize()
