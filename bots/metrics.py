"""The gateway's metrics, in Prometheus' text format. They hold numbers only, never a person's words or name."""

from collections.abc import Iterable, Mapping

from cachetools import TTLCache
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from core.clock import Clock
from core.outcomes import Outcomes
from core.store import Store, outcomes

DAY = 86_400.0
OUTCOMES_AGE = 300.0
"""Seconds for which the outcomes are not measured again, since this reads the questions of eight days."""


class Figures(Collector):
    """The dead letters, the updates of each platform that were skipped since the start, and the outcomes of a day."""

    def __init__(self, *, dead: int, skipped: Mapping[str, int], day: Outcomes) -> None:
        self._dead = dead
        self._skipped = skipped
        self._day = day

    def collect(self) -> Iterable[Metric]:
        yield GaugeMetricFamily("parley_dead_letters", "Turns given up on; see parley retry-dead", value=self._dead)
        skipped = CounterMetricFamily(
            "parley_updates_skipped", "Updates that could not be understood", labels=["platform"]
        )
        for platform, count in self._skipped.items():
            skipped.add_metric([platform], count)
        yield skipped
        yield from _of_day(self._day)

    def text(self) -> bytes:
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)


def _of_day(day: Outcomes) -> Iterable[Metric]:
    cases = GaugeMetricFamily("parley_day_cases", "Cases that began in the last 24 hours", labels=["outcome"])
    for outcome, count in {
        "all": day.cases,
        "resolved": day.resolved,
        "handed_over": day.handed_over,
        "reopened": day.reopened,
    }.items():
        cases.add_metric([outcome], count)
    yield cases
    questions = GaugeMetricFamily("parley_day_questions", "Questions of the last 24 hours", labels=["answered_by"])
    for source, count in day.answers.items():
        questions.add_metric([source], count)
    questions.add_metric(["none"], day.unanswered)
    yield questions
    thumbs = GaugeMetricFamily("parley_day_thumbs", "Thumbs on their answers", labels=["answered_by", "thumb"])
    for source in day.answers:
        thumbs.add_metric([source, "up"], day.up[source])
        thumbs.add_metric([source, "down"], day.down[source])
    yield thumbs
    yield GaugeMetricFamily("parley_day_gaps", "Questions of the last 24 hours without a good answer", value=day.gaps)
    for name, wait in {"first_answer": day.first_answer, "takeover": day.takeover}.items():
        seconds = GaugeMetricFamily(f"parley_day_{name}_seconds", "Time that people waited", labels=["quantile"])
        for quantile, value in {"0.5": wait.median, "0.9": wait.p90}.items():
            if value is not None:
                seconds.add_metric([quantile], value)
        yield seconds


class LastDay:
    """The outcomes of the last 24 hours, at most OUTCOMES_AGE seconds old."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._kept: TTLCache[str, Outcomes] = TTLCache(1, OUTCOMES_AGE, timer=clock.monotonic)

    async def outcomes(self) -> Outcomes:
        """Raises StoreError."""
        if (kept := self._kept.get("day")) is not None:
            return kept
        now = self._clock.now()
        found = self._kept["day"] = await self._store.read(outcomes.measure, now - DAY, now)
        return found
