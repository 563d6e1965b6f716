"""Chooses whether turns are traced: only if the environment names a collector, by the standard variables."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec

import structlog

from core.clock import Clock
from core.store import Store, installation
from core.tracing import UNTRACED, Tracing

log = structlog.get_logger()

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""https://opentelemetry.io/docs/specs/otel/protocol/exporter/"""
EXTRA = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


@asynccontextmanager
async def open_tracing(environment: Mapping[str, str], store: Store, clock: Clock) -> AsyncIterator[Tracing]:
    """The tracing that the environment asks for. What is not sent yet is sent when the context is left."""
    if not _is_wanted(environment):
        yield UNTRACED
        return
    if not _is_installed():
        log.warning("no traces are sent", missing='pip install "parley[otel]"')
        yield UNTRACED
        return
    from bots.otel import OpenTelemetry, otlp  # noqa: PLC0415  an extra: 100 ms that most installations do without

    processor = otlp()
    try:
        yield OpenTelemetry(processor, clock, await store.read(installation.key))
    finally:
        await asyncio.to_thread(processor.shutdown)


def _is_wanted(environment: Mapping[str, str]) -> bool:
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not is_off and environment.get("OTEL_TRACES_EXPORTER") != "none" and any(map(environment.get, ENDPOINTS))


def _is_installed() -> bool:
    try:
        return all(map(find_spec, EXTRA))
    except ModuleNotFoundError:  # the package that they are in
        return False
