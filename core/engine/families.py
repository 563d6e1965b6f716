"""Metrics of model servers, in Prometheus' text format."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from core.bulkhead import bulkhead

SERVER = "server"
"""The label that names one of several servers."""


def read_families(text: bytes) -> list[Metric]:
    """The metrics that another server sends; none if a part of them cannot be read, so that it cannot spoil ours."""
    with bulkhead():
        return list(text_string_to_metric_families(text.decode()))
    return []


def merged(texts: Mapping[str, bytes | None]) -> bytes:
    """The metrics of several servers, labelled with their names, and which of them answer. None stands for one that
    does not.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Merged(texts))
    return generate_latest(registry)


@dataclass(frozen=True, slots=True, eq=False)
class _Merged(Collector):
    texts: Mapping[str, bytes | None]

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily("parley_model_server_up", "Whether the model server answers", labels=[SERVER])
        families: dict[str, Metric] = {}
        for server, text in self.texts.items():
            up.add_metric([server], text is not None)
            for family in read_families(text or b""):
                kept = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                kept.samples += [each._replace(labels={**each.labels, SERVER: server}) for each in family.samples]
        yield from (up, *families.values())
