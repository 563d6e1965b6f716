"""/metrics over real sockets: who may read it, and what stands there while the bot works."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import yaml

from bots.app import Bot, open_bot
from bots.web.server import serving, web_app
from config.settings import Settings, WebSettings
from core.admission import Admission
from core.clock import ManualClock, ShiftedClock, SystemClock
from core.engine.scripted import ScriptedEngine
from core.inference.batching.loop import Loop
from core.inference.batching.prefix import PrefixCache
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Limits, Scheduler
from core.inference.tokens.vocabulary import Vocabulary
from core.keys import Scope, add_key, revoke_key
from core.messages import ConversationKey, Message, Person
from core.store import Store, open_store
from core.tokens import ENTROPY_BYTES
from tests.bots.web.test_server import QuietFront
from tests.core.engine import fake_server
from tests.core.test_worker import Shown
from tests.idle import Idle
from tests.options import limits_with
from tests.ports import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
NAME = re.compile(r"\b(?:parley|process)_[a-z_]+")
"""A metric in an expression. No label has such a name."""
ELSEWHERE = {"X-Forwarded-For": "198.51.100.9"}


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with open_store("sqlite://") as opened:
        yield opened


@asynccontextmanager
async def site(store: Store, *proxies: str) -> AsyncIterator[httpx.AsyncClient]:
    clock, port = ManualClock(), free_port()
    engine = ScriptedEngine.fixed("ok")
    bot = Bot(admission=Admission(store, clock, limits_with(), Idle()), store=store, engine=engine)
    settings = WebSettings(port=port, proxies=proxies)
    async with (
        serving(web_app(bot, [QuietFront()], clock), settings, clock),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        yield client


async def new_key(store: Store, *scopes: Scope) -> dict[str, str]:
    """A header with a new key."""
    shown = await store.run(add_key, "-".join(("key", *scopes)), scopes, bytes([len(scopes)] * ENTROPY_BYTES), 0.0)
    return {"Authorization": f"Bearer {shown}"}


@pytest.mark.parametrize("proxies", [(), ("127.0.0.1",)])
async def test_a_program_elsewhere_needs_a_key(store: Store, proxies: tuple[str, ...]) -> None:
    """A request that a proxy passes on needs a key with the scope, whether the proxy is trusted or not."""
    async with site(store, *proxies) as client:
        assert (await client.get("/metrics")).status_code == 200
        refused = await client.get("/metrics", headers=ELSEWHERE)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        for header in ({}, {"Authorization": "Bearer parley_x"}, await new_key(store, Scope.CHAT)):
            assert (await client.get("/metrics", headers=ELSEWHERE | header)).status_code == 401
        allowed = await new_key(store, Scope.METRICS, Scope.CHAT)
        assert (await client.get("/metrics", headers=ELSEWHERE | allowed)).status_code == 200
        await store.run(revoke_key, "key-metrics-chat", 1.0)
        assert (await client.get("/metrics", headers=ELSEWHERE | allowed)).status_code == 401


async def test_a_client_cannot_pretend_to_be_here(store: Store) -> None:
    """Not by the headers of a proxy, which a client can write too."""
    async with site(store, "127.0.0.1") as client:
        for name in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
            assert (await client.get("/metrics", headers={name: "127.0.0.1"})).status_code == 401


async def test_a_store_that_fails_opens_nothing(store: Store) -> None:
    """Without its store the bot cannot know a key; on its own machine it still says what does not work."""
    key = await new_key(store, Scope.METRICS)
    await store.run(lambda connection: connection.exec_driver_sql("ALTER TABLE keys RENAME TO gone"))
    await store.run(lambda connection: connection.exec_driver_sql("ALTER TABLE turns RENAME TO lost"))
    async with site(store) as client:
        assert (await client.get("/metrics", headers=ELSEWHERE | key)).status_code == 503
        assert "parley_store_up 0.0" in (await client.get("/metrics")).text


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a bot tells after a message, and what a model server that has just started tells through it."""
    cache = PrefixCache(blocks=9)
    loop = Loop(
        cast("Runner", None),
        Scheduler(Limits(max_batch=1), cache),
        cast("Vocabulary", None),
        frozenset(),
        ManualClock(),
    )
    engine = ScriptedEngine.fixed("hello")
    engine.own_metrics = loop.metrics.text()
    return asyncio.run(_served_by(engine, tmp_path_factory.mktemp("bot")))


async def _served_by(engine: ScriptedEngine, folder: Path) -> str:
    async with fake_server.serving(engine) as url:
        return await _scraped(folder, url=url)


async def _scraped(folder: Path, **engine: str) -> str:
    clock, shown = ShiftedClock(clock=SystemClock()), Shown()
    chosen: dict[str, Any] = {"data_dir": folder, "engine": engine, "access": {"allow": ["slack:*"]}}
    settings, port = Settings.model_validate(chosen), free_port()
    async with (
        open_bot(settings, clock, {"slack/w": shown}, []) as bot,
        serving(web_app(bot, [QuietFront()], clock), WebSettings(port=port), clock),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        await bot.engine.identity()  # once the model is ready
        await bot.admission.accept(hello())
        await shown.until(1)
        return (await client.get("/metrics")).text


def hello() -> Message:
    person = Person(platform="slack", workspace="w", id="zoe-the-customer")
    place = ConversationKey(platform="slack", workspace="w", chat="a-private-chat")
    return Message(event_keys=("e",), conversation=place, sender=person, text="my-secret-question", sent_at=1.0)


def samples(scraped: str) -> set[str]:
    return {re.split(r"[{ ]", line)[0] for line in scraped.splitlines() if not line.startswith("#")}


def test_one_scrape_sees_the_bot_and_its_model(scraped: str) -> None:
    """The message, its reply, its mood, and what the model server has read for it."""
    assert 'parley_messages_total{outcome="accepted",platform="slack"} 1.0' in scraped
    assert {"parley_replies_total", "parley_tokens_total", "process_resident_memory_bytes"} <= samples(scraped)
    assert "parley_model_up 1.0" in scraped


def test_a_scrape_names_nobody(scraped: str) -> None:
    """No person, no chat, and no word."""
    assert not [word for word in ("zoe", "private-chat", "secret", '"w"') if word in scraped]


@pytest.mark.parametrize("file", ["grafana.json", "alerts.yml"])
def test_what_is_drawn_and_watched_exists(scraped: str, file: str) -> None:
    """Each metric that the dashboard and the alerts name stands in a real scrape."""
    named = {name for expression in expressions(DEPLOY / file) for name in NAME.findall(expression)}
    assert len(named) > 5
    assert named - samples(scraped) - announced(scraped) == set()


def announced(scraped: str) -> set[str]:
    """The metrics of which some have no sample before their first event."""
    return set(re.findall(r"^# TYPE (\S+)", scraped, re.MULTILINE))


@pytest.mark.long
def test_the_metrics_of_the_child_come_over_its_socket(scraped: str, tmp_path: Path) -> None:
    """The small built-in model, in its own process, has all metrics that the default tests believe it to have."""
    assert samples(asyncio.run(_scraped(tmp_path))) >= samples(scraped)


def expressions(file: Path) -> list[str]:
    if file.suffix == ".json":
        return [
            target["expr"] for panel in json.loads(file.read_text("utf-8"))["panels"] for target in panel["targets"]
        ]
    groups = yaml.safe_load(file.read_text("utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]
