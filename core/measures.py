"""What happens in the gateway, counted for Prometheus: by a platform or a kind, never by a person, a chat or a text."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from core.messages import ANSWERS, Label, Reply

ANSWER_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
TRANSACTION_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Ending(StrEnum):
    """How one try to show a reply ended."""

    DELIVERED = "delivered"
    RETRIED = "retried"  # later
    APOLOGISED = "apologised"  # in its place
    FAILED = "failed"  # and given up on


class Measures:
    """The counters of one gateway. `bots/app.py` makes them and hands them to the parts in which something happens.

    Durations of answers begin with the claim of a turn: the time before it is the queue's.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(namespace="parley_gateway", registry=registry)  # the model server's have no such prefix
        self._messages = Counter(
            "parley_messages", "Messages, accepted or refused", ["platform", "outcome"], registry=registry
        )
        self._replies = Counter("parley_replies", "Replies that were produced", ["source", "finish"], registry=registry)
        self._moods = Counter("parley_moods", "Moods that were read in messages", ["label"], registry=registry)
        self._first_piece = Histogram(
            "parley_first_piece_seconds",
            "Time from a turn's claim to the first words of its answer",
            ["source"],
            buckets=ANSWER_SECONDS,
            registry=registry,
        )
        self._answer = Histogram(
            "parley_answer_seconds",
            "Time from a turn's claim to its whole answer",
            ["source"],
            buckets=ANSWER_SECONDS,
            registry=registry,
        )
        self._deliveries = Counter(
            "parley_deliveries", "Tries to show a reply, by how they ended", ["platform", "outcome"], registry=registry
        )
        self._transactions = Histogram(
            "parley_store_commit_seconds",
            "Time of a transaction that may write, to the end of its commit",
            buckets=TRANSACTION_SECONDS,
            registry=registry,
        )
        for label in Label:
            self._moods.labels(label)

    def note_message(self, platform: str, outcome: str) -> None:
        """Count a message; `outcome` is "accepted", "duplicate", "ignored", or the kind of its refusal."""
        self._messages.labels(platform, outcome).inc()

    def note_reply(self, reply: Reply, *, first_piece: float | None, seconds: float) -> None:
        """Count a reply that took `seconds` in all, and `first_piece` until its first words were there."""
        self._replies.labels(reply.source, reply.finish).inc()
        if reply.mood:
            self._moods.labels(reply.mood.label).inc()
        if reply.source in ANSWERS:
            self._answer.labels(reply.source).observe(seconds)
            if first_piece is not None:
                self._first_piece.labels(reply.source).observe(first_piece)

    def note_delivery(self, platform: str, ending: Ending) -> None:
        """Count a try to show a reply."""
        self._deliveries.labels(platform, ending).inc()

    @property
    def transaction(self) -> Callable[[], AbstractContextManager[object]]:
        """Times a transaction of the store, on any thread."""
        return self._transactions.time
