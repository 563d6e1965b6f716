"""A collector of OpenTelemetry that keeps what it gets: OTLP over HTTP on a loopback socket."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bots.web.server import serving
from config.settings import WebSettings
from core.clock import SystemClock
from tests.ports import free_port


@dataclass(slots=True, kw_only=True)
class Collector:
    """Where it listens, the requests as they came, and their spans."""

    url: str
    raw: list[bytes] = field(default_factory=list)

    @property
    def spans(self) -> list[Span]:
        requests = map(ExportTraceServiceRequest.FromString, self.raw)
        scopes = [scope for one in requests for resource in one.resource_spans for scope in resource.scope_spans]
        return [span for scope in scopes for span in scope.spans]


@asynccontextmanager
async def open_collector() -> AsyncIterator[Collector]:
    settings = WebSettings(port=free_port())
    collector = Collector(url=f"http://127.0.0.1:{settings.port}")

    async def take(request: Request) -> Response:
        body = await request.body()
        collector.raw.append(gzip.decompress(body) if request.headers.get("content-encoding") == "gzip" else body)
        answer = ExportTraceServiceResponse().SerializeToString()
        return Response(answer, media_type="application/x-protobuf")

    app = Starlette(routes=[Route("/v1/traces", take, methods=["POST"])])
    async with serving(app, settings, SystemClock()):
        yield collector
