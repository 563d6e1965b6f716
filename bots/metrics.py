"""The gateway's metrics, in Prometheus' text format. They hold numbers only, never a person's words or name."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cachetools import TTLCache
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bots.fronts import Health
from core.clock import Clock
from core.engine.families import read_families
from core.outcomes import Outcomes
from core.stages.cache import AnswerCache
from core.store import Store, backlog, dead_letters, outcomes
from core.store.backlog import Queue

DAY = 86_400.0
OUTCOMES_AGE = 300.0
"""Seconds for which the outcomes are not measured again, since this reads the questions of eight days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the store says at a scrape: turns given up on, turns that are open, and the outcomes of a day."""

    dead: int
    queue: Queue
    day: Outcomes


class LastDay:
    """The outcomes of the last 24 hours, at most OUTCOMES_AGE seconds old."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._kept: TTLCache[str, Outcomes] = TTLCache(1, OUTCOMES_AGE, timer=clock.monotonic)

    async def stored(self) -> Stored:
        """Raises StoreError."""
        dead, queue = await self._store.read(lambda open_: (dead_letters.count(open_), backlog.queue(open_)))
        return Stored(dead=dead, queue=queue, day=await self._outcomes())

    async def _outcomes(self) -> Outcomes:
        if (kept := self._kept.get("day")) is not None:
            return kept
        now = self._clock.now()
        found = self._kept["day"] = await self._store.read(outcomes.measure, now - DAY, now)
        return found


class CacheLookups(Collector):
    """How often the answer cache was asked."""

    def __init__(self, answers: AnswerCache) -> None:
        self._answers = answers

    def collect(self) -> Iterable[Metric]:
        lookups = CounterMetricFamily("parley_answer_cache_lookups", "Questions looked up there", labels=["result"])
        lookups.add_metric(["hit"], self._answers.hits)
        lookups.add_metric(["miss"], self._answers.misses)
        yield lookups


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scrape(Collector):
    """All metrics at one moment, the `now` of the wall clock and the `monotonic` one.

    `counted` has what was counted since the start. `platforms` is the health of each. `stored` is None if the store
    cannot be read, and `model`, the model server's own metrics, if it does not answer.
    """

    now: float
    monotonic: float
    counted: CollectorRegistry
    platforms: Mapping[str, Health]
    stored: Stored | None
    model: bytes | None

    def collect(self) -> Iterable[Metric]:
        own = [*self.counted.collect(), *self._parts(), *_of_platforms(self.platforms, self.monotonic)]
        if self.stored:
            own += [*_of_queue(self.stored, self.now), *_of_day(self.stored.day)]
        yield from own
        taken = {family.name for family in own}
        yield from (family for family in read_families(self.model or b"") if family.name not in taken)

    def _parts(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("parley_store_up", "Whether the store can be read", value=self.stored is not None)
        yield GaugeMetricFamily("parley_model_up", "Whether the model server answers", value=self.model is not None)

    def text(self) -> bytes:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)


def _of_platforms(platforms: Mapping[str, Health], monotonic: float) -> Iterator[Metric]:
    skipped = CounterMetricFamily("parley_updates_skipped", "Updates that could not be understood", labels=["platform"])
    connected = GaugeMetricFamily("parley_platform_connected", "Whether the platform answers", labels=["platform"])
    standing_by = GaugeMetricFamily(
        "parley_platform_standing_by", "Whether another gateway fetches its messages", labels=["platform"]
    )
    silent = GaugeMetricFamily(
        "parley_platform_silent_seconds", "Time since the platform's latest answer", labels=["platform"]
    )
    for platform, health in platforms.items():
        skipped.add_metric([platform], health.skipped)
        connected.add_metric([platform], health.connected)
        standing_by.add_metric([platform], health.standing_by)
        if health.heard_at is not None:
            silent.add_metric([platform], monotonic - health.heard_at)
    yield from (skipped, connected, standing_by, silent)


def _of_queue(stored: Stored, now: float) -> Iterator[Metric]:
    queue = stored.queue
    age = 0.0 if queue.since is None else max(0.0, now - queue.since)  # the clock may have been set back
    yield GaugeMetricFamily("parley_dead_letters", "Turns given up on; see parley retry-dead", value=stored.dead)
    yield GaugeMetricFamily("parley_turns_waiting", "Messages that wait for an answer", value=queue.waiting)
    yield GaugeMetricFamily("parley_turns_running", "Messages that are being answered", value=queue.running)
    yield GaugeMetricFamily("parley_turns_answered", "Answers that are not yet shown whole", value=queue.answered)
    yield GaugeMetricFamily("parley_oldest_waiting_seconds", "Age of the message that has waited longest", value=age)


def _of_day(day: Outcomes) -> Iterator[Metric]:
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
