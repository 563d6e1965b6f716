"""The bot's HTTP server over real sockets."""

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from bots.app import Bot
from bots.fronts import Health
from bots.metrics import OUTCOMES_AGE
from bots.web.server import serving, web_app
from config.settings import WebSettings
from core.admission import Admission
from core.clock import ManualClock
from core.delivery import Delivery
from core.engine.scripted import ScriptedEngine
from core.errors import ConfigError
from core.store import Store, open_store
from tests.bots.letters import add_dead_letter
from tests.idle import Idle
from tests.options import limits_with
from tests.ports import free_port


@dataclass(slots=True, kw_only=True)
class QuietFront:
    """A front end with one route and a health that the test sets."""

    platform: str = "quiet"
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    state: Health = Health(connected=True, heard_at=0.0)  # noqa: RUF009  frozen

    def routes(self, admission: Admission) -> Sequence[BaseRoute]:
        async def hook(_request: Request) -> PlainTextResponse:
            return PlainTextResponse("called")

        return [Route("/hook", hook, methods=["POST"])]

    async def run(self, admission: Admission) -> None:
        pass

    def health(self) -> Health:
        return self.state

    async def who(self) -> str:
        return "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running server, its dependencies, and a client."""

    front: QuietFront
    engine: ScriptedEngine
    clock: ManualClock
    client: httpx.AsyncClient


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with open_store("sqlite://") as opened:
        yield opened


@pytest.fixture
async def site(store: Store) -> AsyncIterator[Site]:
    async with open_site(store, ScriptedEngine.fixed("ok")) as running:
        yield running


@asynccontextmanager
async def open_site(store: Store, engine: ScriptedEngine) -> AsyncIterator[Site]:
    clock, front = ManualClock(), QuietFront()
    bot = Bot(admission=Admission(store, clock, limits_with(), Idle()), store=store, engine=engine)
    settings = WebSettings(port=free_port())
    async with (
        serving(web_app(bot, [front], clock, ["parley.internal"]), settings, clock),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{settings.port}") as client,
    ):
        yield Site(front=front, engine=engine, clock=clock, client=client)


async def test_ready_reports_all_parts(site: Site) -> None:
    """/ready reports store, model and platform, and the seconds since the platform last answered."""
    site.clock.advance(3)
    answer = await site.client.get("/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "store": True,
        "model": True,
        "platforms": {"quiet": {"connected": True, "seconds_since_heard": 3.0, "standing_by": False}},
    }


async def test_alive_is_not_ready(site: Site) -> None:
    """If the model is down, the bot is not ready but alive, because a restart would not help."""
    site.engine.available = False
    ready = await site.client.get("/ready")
    assert (ready.status_code, ready.json()["model"]) == (503, False)
    assert (await site.client.get("/health")).status_code == 200


async def test_a_store_that_cannot_be_written_is_not_ready(site: Site, store: Store) -> None:
    """/ready writes: a disk on which nothing can be stored is named, until it can be written to again."""
    await store.read(lambda connection: connection.exec_driver_sql("PRAGMA query_only = ON"))
    ready = await site.client.get("/ready")
    assert (ready.status_code, ready.json()["store"], ready.json()["store_fault"]) == (503, False, "StoreReadOnly")
    await store.read(lambda connection: connection.exec_driver_sql("PRAGMA query_only = OFF"))
    assert (await site.client.get("/ready")).status_code == 200


async def test_platform_out_of_reach_is_not_ready(site: Site) -> None:
    """If its platform is unreachable, the bot is not ready."""
    site.front.state = Health(connected=False, heard_at=None)
    ready = await site.client.get("/ready")
    assert ready.status_code == 503
    assert ready.json()["platforms"] == {
        "quiet": {"connected": False, "seconds_since_heard": None, "standing_by": False}
    }


async def test_front_ends_have_routes_of_their_own(site: Site) -> None:
    """A front end's route is served beside the health routes; other paths get 404."""
    assert (await site.client.post("/hook")).text == "called"
    assert (await site.client.get("/nothing")).status_code == 404


async def test_taken_port_is_a_setting_to_change(store: Store) -> None:
    """A port in use ends the start with the name of the setting."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        settings = WebSettings(port=other.getsockname()[1])
        bot = Bot(
            admission=Admission(store, ManualClock(), limits_with(), Idle()), store=store, engine=ScriptedEngine.fixed()
        )
        with pytest.raises(ConfigError, match=r"web\.port"):
            async with serving(web_app(bot, [], ManualClock()), settings, ManualClock()):
                pass


async def test_only_webhooks_are_called_by_any_name(site: Site) -> None:
    """/health and /ready are not answered under a foreign name, the front ends' routes are; web pages get neither."""
    foreign, page = {"Host": "evil.example"}, {"Origin": "http://evil.example"}
    for path in ("/health", "/ready", "/nothing"):
        assert (await site.client.get(path, headers=foreign)).status_code == 421
        assert (await site.client.get(path, headers=page)).status_code == 403
    assert (await site.client.post("/hook", headers=foreign)).text == "called"
    assert (await site.client.post("/hook", headers=page)).status_code == 403
    named = await site.client.get("/ready", headers={"Host": "parley.internal"})
    assert named.status_code == 200


def test_a_proxy_is_an_address_or_a_network() -> None:
    """Anything else in web.proxies is an error, not a proxy that is never recognised."""
    assert WebSettings(proxies=("127.0.0.1", "10.0.0.0/8", "fd00::/8")).proxies[1] == "10.0.0.0/8"
    with pytest.raises(ValidationError, match="proxies"):
        WebSettings(proxies=("proxy.internal",))


async def test_metrics_name_dead_letters_and_skipped_updates(site: Site, store: Store) -> None:
    """/metrics has the number of dead letters, and of the updates of each platform that could not be understood."""
    site.front.state = Health(connected=True, heard_at=0.0, skipped=3)
    await add_dead_letter(store, site.clock)
    figures = (await site.client.get("/metrics")).text
    assert "parley_dead_letters 1.0" in figures
    assert 'parley_updates_skipped_total{platform="quiet"} 3.0' in figures


async def test_metrics_have_the_outcomes_of_a_day(site: Site, store: Store) -> None:
    """They are measured again after five minutes, not at each request: this reads the questions of eight days."""
    assert 'parley_day_cases{outcome="all"} 0.0' in (await site.client.get("/metrics")).text
    await add_dead_letter(store, site.clock)
    site.clock.advance(OUTCOMES_AGE - 1)
    assert 'parley_day_cases{outcome="all"} 0.0' in (await site.client.get("/metrics")).text
    site.clock.advance(1)
    figures = (await site.client.get("/metrics")).text
    assert 'parley_day_cases{outcome="all"} 1.0' in figures
    assert 'parley_day_questions{answered_by="none"} 1.0' in figures
