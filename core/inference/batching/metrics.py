"""What the model server tells about itself, in Prometheus' text format."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
ROWS = (0, 1, 2, 4, 8, 16, 32)


class Metrics:
    """Everything that is counted. A rate of `parley_tokens_total` is tokens a second; `cached` ones cost nothing,
    `guessed` ones are those of the written that came with another.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._tokens = Counter("parley_tokens", "Tokens by what became of them", ["kind"], registry=self._registry)
        self.first_token_seconds = Histogram(
            "parley_first_token_seconds",
            "From a request's arrival to its first token",
            buckets=SECONDS,
            registry=self._registry,
        )
        self.rows = Histogram(
            "parley_batch_rows", "Sequences in a step of the model", buckets=ROWS, registry=self._registry
        )
        kinds = ("read", "cached", "written", "guessed")
        self.read, self.cached, self.written, self.guessed = map(self._tokens.labels, kinds)

    def watch(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Reports a number as it is when somebody asks."""
        Gauge(f"parley_{name}", what, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        return generate_latest(self._registry)
