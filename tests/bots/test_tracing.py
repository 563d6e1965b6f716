"""Traces: one for each turn, to the collector that the environment names, and nothing of what people say in them."""

import ast
import os
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import set_tracer_provider

from bots.otel import OpenTelemetry
from bots.tracing import open_tracing
from bots.web.live import Live
from core.clock import ManualClock, SystemClock
from core.delivery import Claim
from core.engine.scripted import ScriptedEngine
from core.messages import ConversationKey, Message, Person, Reply, Source
from core.store import Store, open_store
from core.tracing import UNTRACED
from tests.bots.collector import Collector, open_collector
from tests.bots.web.site import open_site

SPANS = ["admission", "delivery", "generate", "guard", "knowledge", "mood", "queue", "turn"]
ATTRIBUTES = {
    "parley.platform",
    "parley.source",
    "parley.finish",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
}
ROOT = Path(__file__).parents[2]
FILES = [file for folder in ("bots", "config", "core") for file in (ROOT / folder).rglob("*.py")]
MESSAGE = Message(
    event_keys=("a",),
    conversation=ConversationKey(platform="web", workspace="site", chat="ann"),
    sender=Person(platform="web", workspace="site", id="ann"),
    text="hi",
    sent_at=0.0,
)
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    async with open_store("sqlite://") as opened:
        yield opened


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")


async def traced(collector: Collector, engine: ScriptedEngine, *texts: str) -> list[Span]:
    """The spans of some questions that are asked on the web."""
    async with (
        open_store("sqlite://") as store,
        open_tracing(os.environ, store, SystemClock()) as tracing,
        open_site(engine, tracing=tracing) as site,
    ):
        for text in texts:
            await site.program.post("/api/chat", json={"text": text}, headers={"Parley-User": "ada-lovelace"})
    return collector.spans


@pytest.mark.parametrize("name", ["", "helpdesk"])
async def test_the_service_has_a_name(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """It is that of the environment, or else the program's."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", name)
    kept = InMemorySpanExporter()
    traces = OpenTelemetry(SimpleSpanProcessor(kept), ManualClock(), b"key")
    traces.note_admission(7, MESSAGE, 0.0, 1.0)
    assert [span.resource.attributes["service.name"] for span in kept.get_finished_spans()] == [name or "parley"]


async def test_a_turn_is_one_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its spans have the turn as parent, lie within it, and tell where its time went."""
    async with open_collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        spans = await traced(collector, ScriptedEngine.fixed("one two"), "Hello?")
    assert sorted(span.name for span in spans) == SPANS
    root = next(span for span in spans if span.name == "turn")
    for span in spans:
        assert span.trace_id == root.trace_id
        assert span.parent_span_id == (b"" if span is root else root.span_id)
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano
    writing = next(span for span in spans if span.name == "generate")
    assert [event.name for event in writing.events] == ["first piece"]
    assert attributes([root]) == {
        "parley.platform": "web",
        "parley.source": "model",
        "parley.finish": "stop",
        "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2,
    }


async def test_nothing_of_a_person_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what is said nor who says it, where, or by which key is in a span, also if the model fails."""
    async with open_collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        spans = await traced(collector, ScriptedEngine.echo(), "my-question", "/forget", "/stop", "x" * 20_000)
        assert await traced(collector, ScriptedEngine.dying(1, times=99, text="half-an-answer of it"), "my-question")
    assert set(attributes(spans)) == ATTRIBUTES
    assert len({span.trace_id for span in spans}) == 4
    sent = b"".join(collector.raw)
    for word in (b"my-question", b"half-an-answer", b"forget", b"ada-lovelace", b"shop", b"xxxx", b"sqlite"):
        assert word not in sent


async def test_a_failure_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writing and the turn of an answer that broke off have the status error."""
    async with open_collector() as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        spans = await traced(collector, ScriptedEngine.dying(0, times=99), "Hello?")
    failed = {span.name for span in spans if span.status.code == Status.STATUS_CODE_ERROR}
    assert failed == {"generate", "turn"}


async def test_a_turn_has_the_same_trace_after_a_restart() -> None:
    """Another process goes on with the trace; another installation has its own."""
    clock, ids = ManualClock(), []
    claim = Claim(id=7, attempt=1, message=MESSAGE, locale="en")
    for key in (b"a", b"a", b"b"):
        kept = InMemorySpanExporter()
        traces = OpenTelemetry(SimpleSpanProcessor(kept), clock, key)
        await traces.deliveries({"web/site": Live()})["web/site"].finish(claim, Reply(text="hi", source=Source.MODEL))
        ids.append({span.context.trace_id for span in kept.get_finished_spans()})
    assert ids[0] == ids[1] != ids[2]
    assert [len(found) for found in ids] == [1, 1, 1]


async def test_fastapi_tells_nothing() -> None:
    """What FastAPI would send by itself, with what was malformed in a request, stays off."""
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    set_tracer_provider(provider)
    async with open_site(ScriptedEngine.fixed("ok")) as site:
        for body in ({"text": "Hello?"}, {"txt": "Hello?"}):
            await site.program.post("/api/chat", json=body)
    assert kept.get_finished_spans() == ()


@pytest.mark.parametrize(
    "environment", [{}, {ENDPOINT: ""}, {ENDPOINT: "http://x", "OTEL_SDK_DISABLED": "true"}, {"OTEL_SERVICE_NAME": "x"}]
)
async def test_it_is_off_unless_a_collector_is_named(store: Store, environment: dict[str, str]) -> None:
    """Without an endpoint, or if the standard switch is off, nothing is traced."""
    async with open_tracing(environment, store, SystemClock()) as tracing:
        assert tracing is UNTRACED


async def test_without_the_extra_it_stays_off(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that is named for other programs of the machine keeps no bot from starting."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    async with open_tracing({ENDPOINT: "http://127.0.0.1:9"}, store, SystemClock()) as tracing:
        assert tracing is UNTRACED


def test_nothing_is_imported_unless_it_is_used() -> None:
    """Only one file imports OpenTelemetry, and it is imported nowhere at the start of a program."""
    importing = {
        str(file.relative_to(ROOT)) for file in FILES if {"opentelemetry", "bots.otel"} & set(_imported_at_once(file))
    }
    assert importing == {"bots/otel.py"}


def _imported_at_once(file: Path) -> Iterator[str]:
    for statement in ast.parse(file.read_text("utf-8")).body:
        if isinstance(statement, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield from (statement.module, statement.module.partition(".")[0])


def attributes(spans: Iterable[Span]) -> dict[str, object]:
    return {
        attribute.key: attribute.value.string_value or attribute.value.int_value
        for span in spans
        for attribute in span.attributes
    }
