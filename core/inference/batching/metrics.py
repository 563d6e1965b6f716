"""The model server's metrics, in Prometheus' text format."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
ROWS = (0, 1, 2, 4, 8, 16, 32)


class Metrics:
    """Counters and histograms of one loop. The rate of `parley_tokens_total` is tokens per second.

    Kinds of tokens: `read` were prefilled, `cached` came from the prefix cache, `written` were sampled. `guessed` are
    the written tokens that had been drafted by speculation.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._tokens = Counter(
            "parley_tokens",
            "Tokens: prefilled (read), from the prefix cache (cached), sampled (written), accepted drafts (guessed)",
            ["kind"],
            registry=self._registry,
        )
        self.first_token_seconds = Histogram(
            "parley_first_token_seconds",
            "Time from a request's arrival to its first token",
            buckets=SECONDS,
            registry=self._registry,
        )
        self.rows = Histogram("parley_batch_rows", "Sequences in a step", buckets=ROWS, registry=self._registry)
        kinds = ("read", "cached", "written", "guessed")
        self.read, self.cached, self.written, self.guessed = map(self._tokens.labels, kinds)

    def add_gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is computed at each scrape."""
        Gauge(f"parley_{name}", description, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        return generate_latest(self._registry)
