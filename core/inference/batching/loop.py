"""The one thread that owns the model. One step is: schedule, run, postprocess."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import structlog

from core.clock import Clock
from core.inference.batching.metrics import Metrics
from core.inference.batching.runner import Runner
from core.inference.batching.scheduler import Chunk, Scheduler
from core.inference.batching.sequence import Output, Sampled, Sequence
from core.inference.tokens.vocabulary import Vocabulary

Emit: TypeAlias = Callable[[Output], object]
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who waits for a sequence, and since when."""

    emit: Emit
    arrived_at: float


class Loop:
    """Takes sequences from any thread, runs them on its own, and emits their output from there.

    The scheduler is guarded by a lock that is never held while the model runs.
    """

    def __init__(
        self,
        runner: Runner,
        scheduler: Scheduler,
        vocabulary: Vocabulary,
        ends: frozenset[int],
        clock: Clock,
    ) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._vocabulary = vocabulary
        self._ends = ends
        self._clock = clock
        self.metrics = Metrics()
        self.metrics.watch("running", "Sequences that run", lambda: self.load[0])
        self.metrics.watch("waiting", "Sequences that wait", lambda: self.load[1])
        self.metrics.watch("cache_blocks", "Blocks of keys and values in use or kept", lambda: scheduler.cache.used)
        self._changed = threading.Condition()
        self._requests: dict[str, Request] = {}
        self._progress_at = clock.monotonic()
        self._closed = False

    @property
    def load(self) -> tuple[int, int]:
        """How many sequences run and wait."""
        with self._changed:
            return self._scheduler.running, self._scheduler.waiting

    @property
    def stalled_for(self) -> float:
        """Seconds since the last sign of progress while there is work; 0 without work."""
        with self._changed:
            return self._clock.monotonic() - self._progress_at if self._scheduler.has_work else 0.0

    def submit(self, sequence: Sequence, emit: Emit) -> bool:
        """Queues a sequence, False when the queue is full. `emit` is called on the loop's thread and must not block."""
        with self._changed:
            idle = not self._scheduler.has_work
            if not self._scheduler.add(sequence):
                return False
            if idle:
                self._progress_at = self._clock.monotonic()
            self._requests[sequence.job.id] = Request(emit=emit, arrived_at=self._clock.monotonic())
            self._changed.notify()
            return True

    def remove(self, sequence: Sequence) -> None:
        """Stops a sequence wherever it is; nothing is emitted for it any more. The step under way is its last."""
        with self._changed:
            self._remove(sequence)
            self._changed.notify()

    def run(self) -> None:
        """Steps until closed."""
        while self._wait_for_work():
            self.step()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _wait_for_work(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._scheduler.has_work)
            return not self._closed

    def step(self) -> bool:
        """Runs everything that runs by one token or one piece of a prompt; False without work."""
        with self._changed:
            if not self._scheduler.has_work:
                return False
            step = self._scheduler.schedule()
            self.metrics.rows.observe(len(step.chunks))
        results = self._runner.run(step)
        with self._changed:
            for chunk, tokens in zip(step.chunks, results, strict=True):
                self._postprocess(chunk, tokens)
            self._progress_at = self._clock.monotonic()
        return True

    def _postprocess(self, chunk: Chunk, tokens: list[Sampled]) -> None:
        right = max(len(tokens) - 1, 0)
        self.metrics.guessed.inc(right)
        self._scheduler.computed(chunk, right)
        for sampled in tokens:
            if self._scheduler.is_running(chunk.sequence):
                self._append(chunk.sequence, sampled)

    def _append(self, sequence: Sequence, sampled: Sampled) -> None:
        token = None if sampled.id in self._ends else self._vocabulary.bytes_of(sampled.id)
        output = sequence.append(sampled, token)
        request = self._requests[sequence.job.id]
        self._count(sequence, request)
        request.emit(output)
        if output.finish:
            self._remove(sequence)

    def _count(self, sequence: Sequence, request: Request) -> None:
        self.metrics.written.inc()
        if sequence.completion_tokens == 1:
            self.metrics.first_token_seconds.observe(self._clock.monotonic() - request.arrived_at)
            self.metrics.read.inc(len(sequence.job.prompt) - sequence.cached)
            self.metrics.cached.inc(sequence.cached)

    def _remove(self, sequence: Sequence) -> None:
        self._scheduler.remove(sequence)
        self._requests.pop(sequence.job.id, None)


@contextmanager
def running(loop: Loop, on_crash: Callable[[], None]) -> Iterator[Loop]:
    """Runs the loop on a thread of its own. A loop that dies cannot be trusted with another request: `on_crash`."""

    def work() -> None:
        try:
            loop.run()
        except Exception:
            log.exception("the model's loop died")
            on_crash()

    thread = threading.Thread(target=work, name="model")
    thread.start()
    try:
        yield loop
    finally:
        loop.close()
        thread.join()
