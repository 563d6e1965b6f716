"""The gateway's metrics, in Prometheus' text format. They hold numbers only, never a person's words or name."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Figures(Collector):
    """The dead letters, and the updates of each platform that were skipped since the start."""

    def __init__(self, *, dead: int, skipped: Mapping[str, int]) -> None:
        self._dead = dead
        self._skipped = skipped

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("parley_dead_letters", "Turns given up on; see parley retry-dead", value=self._dead)
        skipped = CounterMetricFamily(
            "parley_updates_skipped", "Updates that could not be understood", labels=["platform"]
        )
        for platform, count in self._skipped.items():
            skipped.add_metric([platform], count)
        yield skipped

    def text(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)
