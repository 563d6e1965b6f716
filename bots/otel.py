"""OpenTelemetry: a trace for each turn, sent by OTLP over HTTP. Needs the extra "otel".

A span has the platform, what produced the reply, how it ended and its tokens: never a text, a person or a chat. Turns
outlive processes, so that spans are not nested calls here: each is made when it has ended, and the ids of a trace and
of its root are derived from the turn. A turn that is answered after a restart has one trace all the same.
"""

import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cachetools import LRUCache
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from core.clock import Clock
from core.delivery import Claim, Delivery
from core.messages import Finish, Message, Reply, Turn
from core.pipeline import Handler, Stage

SCOPE = InstrumentationScope("parley")
UNNAMED = "unknown_service"
"""Begins the name that the SDK gives a service without one."""
FIRST_PIECE = "first piece"
FAILED = frozenset({Finish.ERROR, Finish.TIMEOUT})
OPEN_TURNS = 10_000
"""Turns whose admission is remembered until they are delivered. Of others, a trace begins when the message was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """When a message arrived and when it had become a turn, in UTC epoch seconds."""

    begun: float
    ended: float


class OpenTelemetry:
    """A `core.tracing.Tracing` that hands spans to a processor. The `key` keeps the ids of two installations apart."""

    def __init__(self, processor: SpanProcessor, clock: Clock, key: bytes) -> None:
        self._processor = processor
        self._clock = clock
        self._key = key
        self._ids = RandomIdGenerator()
        self._resource = _service()
        self._admitted: LRUCache[int, Admitted] = LRUCache(OPEN_TURNS)

    def note_admission(self, turn_id: int, message: Message, begun: float, ended: float) -> None:
        self._admitted[turn_id] = Admitted(begun=begun, ended=ended)
        self._add(turn_id, "admission", begun, ended, _place(message))

    def stage(self, name: str, stage: Stage) -> Stage:
        async def traced(turn: Turn, call_next: Handler) -> Reply:
            begun, ended = self._clock.now(), 0.0

            async def inner(turn: Turn) -> Reply:
                nonlocal ended
                ended = self._clock.now()
                return await call_next(turn)

            try:
                return await stage(turn, inner)
            finally:
                self._add(turn.id, name, begun, ended or self._clock.now(), {})

        return traced

    def handler(self, name: str, handler: Handler) -> Handler:
        async def traced(turn: Turn) -> Reply:
            begun, first_piece = self._clock.now(), None
            reply: Reply | None = None

            async def sink(piece: str) -> None:
                nonlocal first_piece
                first_piece = first_piece or self._clock.now()
                await turn.sink(piece)

            try:
                reply = await handler(replace(turn, sink=sink))
                return reply
            finally:
                told = _outcome(reply) if reply else {}
                self._add(turn.id, name, begun, self._clock.now(), told, failed=reply is None, first_piece=first_piece)

        return traced

    def deliveries(self, fronts: Mapping[str, Delivery]) -> Mapping[str, Delivery]:
        return TracedDeliveries(fronts, self)

    async def begin(self, delivery: Delivery, claim: Claim) -> str:
        """Begin a turn, which has waited until now."""
        admitted = self._admitted.get(claim.id)
        waited_from = admitted.ended if admitted else claim.message.sent_at
        self._add(claim.id, "queue", waited_from, self._clock.now(), _place(claim.message))
        return await delivery.begin(claim)

    async def deliver(self, delivery: Delivery, claim: Claim, reply: Reply) -> str:
        """Finish a turn. The last part of the delivery ends its trace."""
        begun, handle = self._clock.now(), None
        try:
            handle = await delivery.finish(claim, reply)
            return handle
        finally:
            ended, place = self._clock.now(), _place(claim.message)
            self._add(claim.id, "delivery", begun, ended, place, failed=handle is None)
            if handle == claim.handle:
                admitted = self._admitted.pop(claim.id, None)
                start = admitted.begun if admitted else claim.message.sent_at
                told = place | _outcome(reply)
                self._add(claim.id, "turn", start, ended, told, failed=reply.finish in FAILED, is_root=True)

    def _add(  # noqa: PLR0913  a span has these
        self,
        turn_id: int,
        name: str,
        begun: float,
        ended: float,
        attributes: Mapping[str, AttributeValue],
        *,
        failed: bool = False,
        first_piece: float | None = None,
        is_root: bool = False,
    ) -> None:
        root = self._root(turn_id)
        span = ReadableSpan(
            name=name,
            context=root if is_root else _context(root.trace_id, self._ids.generate_span_id()),
            parent=None if is_root else root,
            resource=self._resource,
            attributes=attributes,
            events=[Event(FIRST_PIECE, timestamp=_nanoseconds(first_piece))] if first_piece else (),
            kind=SpanKind.SERVER if is_root else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR) if failed else Status(),
            start_time=_nanoseconds(min(begun, ended)),  # the clock may have been set back
            end_time=_nanoseconds(ended),
            instrumentation_scope=SCOPE,
        )
        self._processor.on_end(span)

    def _root(self, turn_id: int) -> SpanContext:
        digest = hmac.digest(self._key, str(turn_id).encode(), "sha256")
        return _context(int.from_bytes(digest[:16]), int.from_bytes(digest[16:24]))


class TracedDeliveries(Mapping[str, Delivery]):
    """The deliveries of front ends, each of them traced. The front ends may grow meanwhile."""

    def __init__(self, fronts: Mapping[str, Delivery], traces: OpenTelemetry) -> None:
        self._fronts = fronts
        self._traces = traces

    def __getitem__(self, front: str) -> Delivery:
        return TracedDelivery(self._fronts[front], self._traces)

    def __iter__(self) -> Iterator[str]:
        return iter(self._fronts)

    def __len__(self) -> int:
        return len(self._fronts)


class TracedDelivery:
    """A delivery that tells when it begins and finishes a turn."""

    def __init__(self, delivery: Delivery, traces: OpenTelemetry) -> None:
        self._delivery = delivery
        self._traces = traces
        self.preview = delivery.preview
        self.open_thread = delivery.open_thread
        self.withdraw = delivery.withdraw
        self.drop = delivery.drop

    async def begin(self, claim: Claim) -> str:
        return await self._traces.begin(self._delivery, claim)

    async def finish(self, claim: Claim, reply: Reply) -> str:
        return await self._traces.deliver(self._delivery, claim, reply)


def otlp() -> SpanProcessor:
    """Sends spans in batches from a thread to the collector that the environment names."""
    return BatchSpanProcessor(OTLPSpanExporter())


def _service() -> Resource:
    """What the environment says about this service, whose name is "parley" if it says none."""
    told = Resource.create()
    is_named = not str(told.attributes[SERVICE_NAME]).startswith(UNNAMED)
    return told if is_named else told.merge(Resource({SERVICE_NAME: "parley"}))


def _place(message: Message) -> dict[str, AttributeValue]:
    return {"parley.platform": message.conversation.platform}


def _outcome(reply: Reply) -> dict[str, AttributeValue]:
    return {
        "parley.source": reply.source.value,
        "parley.finish": reply.finish.value,
        "gen_ai.usage.input_tokens": reply.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": reply.usage.completion_tokens,
    }


def _context(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
