"""Continuous batching: choose what runs in the next step, fairly between users. No tensors here."""

from collections import OrderedDict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final

from core.inference.batching.prefix import PrefixCache
from core.inference.batching.sequence import Sequence

MAX_QUEUE: Final = 64
DEAR_CONTEXT: Final = 4096
"""A prompt token counts once more for each so many tokens before it, since attention reads them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of the batch, the waiting queue and a step.

    At most `max_batch` sequences run and `max_queue` wait. A step reads at most `prefill_tokens` prompt tokens, or
    fewer of a long prompt: its duration is the time between two tokens of every stream, and the delay until a
    disconnect is noticed.
    `max_speculative_step` is the largest step, in tokens, in which speculative tokens are almost free; 0 disables
    speculation.
    """

    max_batch: int
    max_queue: int = MAX_QUEUE
    prefill_tokens: int = 128
    max_speculative_step: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The next `count` pending ids of a sequence, and draft tokens to verify after them.

    If it ends the pending ids, a token is sampled after it, and one more after each accepted draft token.
    """

    sequence: Sequence
    count: int
    draft: tuple[int, ...] = ()

    @property
    def ids(self) -> list[int]:
        return [*self.sequence.ids[self.sequence.computed : self.sequence.computed + self.count], *self.draft]

    @property
    def positions(self) -> range:
        return range(self.sequence.computed, self.sequence.computed + self.count + len(self.draft))

    @property
    def outputs(self) -> int:
        """How many of its last ids need logits."""
        return self.is_last * (1 + len(self.draft))

    @property
    def is_last(self) -> bool:
        """Whether it ends the pending ids, so that a token can be sampled."""
        return self.count == self.sequence.pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the runner, in this order: drop the state of `removed` sequences, copy KV cache blocks (source index,
    target index), run the chunks.
    """

    chunks: tuple[Chunk, ...]
    removed: tuple[Sequence, ...] = ()
    copies: tuple[tuple[int, int], ...] = ()


class Scheduler:
    """The waiting and the running queue. Users with waiting sequences are admitted in turn.

    A sequence is admitted if there are blocks for its longest possible reply: a running sequence is never preempted.
    """

    def __init__(self, limits: Limits, cache: PrefixCache) -> None:
        self._limits = limits
        self.cache = cache
        self._waiting: OrderedDict[str, deque[Sequence]] = OrderedDict()
        self._running: dict[str, Sequence] = {}
        self._removed: list[Sequence] = []

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting or self._removed)

    def add(self, sequence: Sequence) -> bool:
        """Queue a sequence; False if the queue is full."""
        if self.waiting >= self._limits.max_queue:
            return False
        self._waiting.setdefault(sequence.job.user, deque()).append(sequence)
        return True

    def remove(self, sequence: Sequence) -> None:
        """Remove a finished or aborted sequence, running or waiting. Idempotent."""
        if self._running.pop(sequence.job.id, None):
            self._removed.append(sequence)
            return
        queue = self._waiting.get(sequence.job.user, deque())
        if sequence in queue:
            queue.remove(sequence)
        if not queue:
            self._waiting.pop(sequence.job.user, None)

    def discard(self, sequence: Sequence) -> None:
        """Remove a sequence after a fault: what was computed since its last full block is not kept for reuse."""
        sequence.reusable = False
        self.remove(sequence)

    def forget(self, owners: Collection[str]) -> int:
        """Forget what the prefix cache has of these owners, and keep nothing of their sequences, which go on.

        Returns the number of blocks that no sequence can find any more.
        """
        for sequence in chain(self._running.values(), self._removed, *self._waiting.values()):
            if sequence.owner in owners:
                sequence.reusable = False
        return self.cache.forget(owners)

    def is_running(self, sequence: Sequence) -> bool:
        return sequence.job.id in self._running

    def schedule(self) -> Step:
        """Free removed sequences, admit waiting ones, and plan the step: one decode token per running sequence, and
        prefill chunks within the step's budget.
        """
        removed, self._removed = tuple(self._removed), []
        for sequence in removed:
            self._free_blocks(sequence)
        copies = tuple(self._admit())
        counts = self._prefill_counts()
        sized = [(sequence, counts.get(sequence, 1)) for sequence in self._running.values()]
        chunks = [Chunk(sequence=sequence, count=count) for sequence, count in sized if count]
        return Step(chunks=tuple(self._with_drafts(chunks)), removed=removed, copies=copies)

    def _prefill_counts(self) -> dict[Sequence, int]:
        """How much of each prompt the step reads. The shortest prompts come first, so that they do not wait for a long
        one; the oldest one gets half of the budget, so that it does not wait for ever.
        """
        reading = [sequence for sequence in self._running.values() if sequence.pending > 1]
        counts, budget = dict.fromkeys(reading, 0), self._limits.prefill_tokens
        offers = [(sequence, budget // 2) for sequence in reading[:1]]
        offers += [(sequence, budget) for sequence in sorted(reading, key=lambda sequence: sequence.pending)]
        for sequence, most in offers:
            price = 1 + sequence.computed // DEAR_CONTEXT
            count = min(sequence.pending - counts[sequence], -(-max(0, min(most, budget)) // price))
            counts[sequence] += count
            budget -= count * price
        return counts

    def _with_drafts(self, chunks: list[Chunk]) -> Iterator[Chunk]:
        """Add draft tokens if the step is small: it is bound by reading the weights, so more tokens are almost free.

        What a sequence leaves of its share is for those after it.
        """
        free = self._limits.max_speculative_step - sum(chunk.count for chunk in chunks)
        for place, chunk in enumerate(chunks):
            share = free // (len(chunks) - place)
            draft = chunk.sequence.draft(share, len(chunks)) if chunk.is_last and free > 0 else ()
            free -= len(draft)
            yield replace(chunk, draft=draft)

    def mark_computed(self, chunk: Chunk, accepted: int = 0) -> None:
        """Record that a chunk has run and how many of its draft tokens were accepted; publish its full blocks."""
        sequence = chunk.sequence
        sequence.computed += chunk.count + accepted
        if sequence.block_table and sequence.reusable and self.is_running(sequence):
            self.cache.publish(sequence.block_table, sequence.ids, sequence.computed)

    def _admit(self) -> Iterator[tuple[int, int]]:
        """Admit waiting sequences in turn, until the batch or the KV cache is full; yields the block copies to make."""
        while self._waiting and len(self._running) < self._limits.max_batch:
            user, queue = next(iter(self._waiting.items()))
            sequence = queue[0]
            job = sequence.job
            table = self.cache.allocate(job.prompt, len(job.prompt) + job.max_tokens, sequence.owner, job.shared)
            if table is None:
                return
            self._dequeue(user)
            sequence.block_table, sequence.computed, sequence.cached = table, table.computed, table.computed
            self._running[job.id] = sequence
            if table.copy_source:
                yield table.copy_source.index, table.blocks[table.published].index

    def _dequeue(self, user: str) -> None:
        """Take a user's oldest sequence from the queue, and move the user behind the other waiting users."""
        queue = self._waiting.pop(user)
        queue.popleft()
        if queue:
            self._waiting[user] = queue

    def _free_blocks(self, sequence: Sequence) -> None:
        if sequence.block_table:
            self.cache.free(sequence.block_table, sequence.ids, sequence.computed if sequence.reusable else 0)
            sequence.block_table = None
