"""The thread that owns the model. One step is: schedule, run, postprocess."""

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import structlog

from core.bulkhead import bulkhead, described
from core.clock import Clock
from core.inference.batching.metrics import Metrics
from core.inference.batching.runner import Row, Runner
from core.inference.batching.scheduler import Chunk, Scheduler, Step
from core.inference.batching.sequence import Fault, Output, Sampled, Sequence
from core.inference.tokens.vocabulary import Vocabulary

OnOutput: TypeAlias = Callable[[Output | Fault], object]
MAX_FAILED_STEPS: Final = 3
"""Failed steps in a row after which the process is given up."""
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """The callback of one sequence, and the monotonic time of its submission."""

    on_output: OnOutput
    submitted_at: float


class Loop:
    """Accepts sequences from any thread, runs them on one thread and reports each sampled token from there.

    A lock guards the scheduler; it is not held while the model runs. `eos_ids` are the tokens that end a reply.
    """

    def __init__(
        self,
        runner: Runner,
        scheduler: Scheduler,
        vocabulary: Vocabulary,
        eos_ids: frozenset[int],
        clock: Clock,
    ) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._vocabulary = vocabulary
        self._eos_ids = eos_ids
        self._clock = clock
        self.metrics = Metrics()
        self.metrics.add_gauge("running", "Sequences in the batch", lambda: self.load[0])
        self.metrics.add_gauge("waiting", "Sequences in the waiting queue", lambda: self.load[1])
        self.metrics.add_gauge("cache_blocks", "KV cache blocks in use or kept for reuse", lambda: scheduler.cache.used)
        self._changed = threading.Condition()
        self._listeners: dict[str, Listener] = {}
        self._progress_at = clock.monotonic()
        self._failed = 0
        self._closed = False

    @property
    def load(self) -> tuple[int, int]:
        """Number of running and of waiting sequences."""
        with self._changed:
            return self._scheduler.running, self._scheduler.waiting

    @property
    def stalled_for(self) -> float:
        """Seconds since the last completed step, while there is work; 0 if the loop is idle."""
        with self._changed:
            return self._clock.monotonic() - self._progress_at if self._scheduler.has_work else 0.0

    def submit(self, sequence: Sequence, on_output: OnOutput) -> bool:
        """Queue a sequence; False if the queue is full.

        `on_output` is called on the loop's thread, once for each sampled token, or once with the fault that ends the
        sequence, and must not block.
        """
        with self._changed:
            idle = not self._scheduler.has_work
            if not self._scheduler.add(sequence):
                return False
            if idle:
                self._progress_at = self._clock.monotonic()
            self._listeners[sequence.job.id] = Listener(on_output=on_output, submitted_at=self._clock.monotonic())
            self._changed.notify()
            return True

    def remove(self, sequence: Sequence) -> None:
        """Abort a sequence, running or waiting. Its callback is not called again; a step in progress is its last."""
        with self._changed:
            self._remove(sequence)
            self._changed.notify()

    def forget(self, owners: Collection[str]) -> int:
        """Keep nothing of these owners' sequences for reuse; the number of blocks that were kept so far."""
        with self._changed:
            return self._scheduler.forget(owners)

    def run(self) -> None:
        """Run steps until closed."""
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
        """Run one step: a decode token or a prefill chunk for every scheduled sequence. False if there is no work.

        If it raises, the sequences that it ran end with a fault, and the loop goes on. Only the third failure in a row
        raises: then the model's state is not trusted any more.
        """
        with self._changed:
            if not self._scheduler.has_work:
                return False
            step = self._scheduler.schedule()
        try:
            self._run(step)
            self._failed = 0 if step.chunks else self._failed
        except Exception as error:
            self._failed += 1
            if self._failed >= MAX_FAILED_STEPS:
                raise
            log.error("a step failed", rows=len(step.chunks), fault=described(error))  # noqa: TRY400  it may quote a person
            self._fail(step)
        return True

    def _run(self, step: Step) -> None:
        self.metrics.rows.observe(len(step.chunks))
        rows = self._runner.run(step)
        with self._changed:
            for chunk, row in zip(step.chunks, rows, strict=True):
                self._postprocess(chunk, row)
            self._progress_at = self._clock.monotonic()

    def _fail(self, step: Step) -> None:
        """End the sequences of a step that raised."""
        with self._changed:
            for chunk in step.chunks:
                self._end(chunk.sequence, "step_failed")
            self._progress_at = self._clock.monotonic()

    def _postprocess(self, chunk: Chunk, row: Row) -> None:
        if isinstance(row, str):
            log.warning("a reply failed", reason=row)
            self._end(chunk.sequence, row)
        else:
            self._accept(chunk, row)

    def _end(self, sequence: Sequence, fault: Fault) -> None:
        """End a sequence after a fault, unless it has ended already."""
        if self._scheduler.is_running(sequence):
            listener = self._listeners.pop(sequence.job.id)
            self._scheduler.discard(sequence)
            listener.on_output(fault)

    def _accept(self, chunk: Chunk, tokens: list[Sampled]) -> None:
        accepted = max(len(tokens) - 1, 0)
        self.metrics.guessed.inc(accepted)
        self._scheduler.mark_computed(chunk, accepted)
        for sampled in tokens:
            if self._scheduler.is_running(chunk.sequence):
                self._append(chunk.sequence, sampled)

    def _append(self, sequence: Sequence, sampled: Sampled) -> None:
        token = None if sampled.id in self._eos_ids else self._vocabulary.bytes_of(sampled.id)
        output = sequence.append(sampled, token)
        listener = self._listeners[sequence.job.id]
        self._count(sequence, listener)
        listener.on_output(output)
        if output.finish:
            self._remove(sequence)

    def _count(self, sequence: Sequence, listener: Listener) -> None:
        self.metrics.written.inc()
        if sequence.completion_tokens == 1:
            self.metrics.first_token_seconds.observe(self._clock.monotonic() - listener.submitted_at)
            self.metrics.read.inc(len(sequence.job.prompt) - sequence.cached)
            self.metrics.cached.inc(sequence.cached)

    def _remove(self, sequence: Sequence) -> None:
        self._scheduler.remove(sequence)
        self._listeners.pop(sequence.job.id, None)


@contextmanager
def running(loop: Loop, on_crash: Callable[[], None]) -> Iterator[Loop]:
    """Run the loop on its own thread. `on_crash` is called if it raises; no further request can be served then."""

    def work() -> None:
        with bulkhead() as outcome:
            loop.run()
        if outcome.fault:
            log.error("the model's loop died", fault=outcome.fault)
            on_crash()

    thread = threading.Thread(target=work, name="model")
    thread.start()
    try:
        yield loop
    finally:
        loop.close()
        thread.join()
