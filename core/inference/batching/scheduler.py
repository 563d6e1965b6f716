"""Who runs next: fair between users, bounded, and free of tensors."""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from core.inference.batching.prefix import PrefixCache
from core.inference.batching.sequence import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many sequences run at once and wait, and how many prompt tokens one step reads at most.

    A step is as long as everybody's stream waits for its next token, and as a hang-up waits to be noticed. Tokens are
    guessed ahead in steps of `guess_within` tokens at most, 0 for never.
    """

    max_batch: int = 8
    max_queue: int = 64
    prefill_tokens: int = 128
    guess_within: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Run the next `count` ids of a sequence. When none is left after them, a token is sampled, and one more after each
    of the `guesses` that turns out to be right.
    """

    sequence: Sequence
    count: int
    guesses: tuple[int, ...] = ()

    @property
    def ids(self) -> list[int]:
        return [*self.sequence.ids[self.sequence.computed : self.sequence.computed + self.count], *self.guesses]

    @property
    def positions(self) -> range:
        return range(self.sequence.computed, self.sequence.computed + self.count + len(self.guesses))

    @property
    def outputs(self) -> int:
        """How many of its last tokens logits are needed for."""
        return self.is_last * (1 + len(self.guesses))

    @property
    def is_last(self) -> bool:
        """Whether a token can be sampled after it."""
        return self.count == self.sequence.pending


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What the runner does next: forget the sequences that are `gone`, copy blocks (from, to), run the chunks."""

    chunks: tuple[Chunk, ...]
    gone: tuple[Sequence, ...] = ()
    copies: tuple[tuple[int, int], ...] = ()


class Scheduler:
    """Waiting and running sequences. Users with something waiting take turns to enter the batch.

    A sequence enters when there are blocks for all it may become: what runs never waits for memory.
    """

    def __init__(self, limits: Limits, cache: PrefixCache) -> None:
        self._limits = limits
        self.cache = cache
        self._waiting: OrderedDict[str, deque[Sequence]] = OrderedDict()
        self._running: dict[str, Sequence] = {}
        self._gone: list[Sequence] = []

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting or self._gone)

    def add(self, sequence: Sequence) -> bool:
        """Queues a sequence; False when the queue is full."""
        if self.waiting >= self._limits.max_queue:
            return False
        self._waiting.setdefault(sequence.job.user, deque()).append(sequence)
        return True

    def remove(self, sequence: Sequence) -> None:
        """Takes a sequence out, finished or not, wherever it is. Once removed, doing so again changes nothing."""
        if self._running.pop(sequence.job.id, None):
            self._gone.append(sequence)
            return
        queue = self._waiting.get(sequence.job.user, deque())
        if sequence in queue:
            queue.remove(sequence)
        if not queue:
            self._waiting.pop(sequence.job.user, None)

    def is_running(self, sequence: Sequence) -> bool:
        return sequence.job.id in self._running

    def schedule(self) -> Step:
        """Fills the batch, then gives each row its next token and prompts what is left of the step's budget."""
        gone, self._gone = tuple(self._gone), []
        for sequence in gone:
            self._close(sequence)
        copies = tuple(self._admit())
        budget = self._limits.prefill_tokens
        chunks = []
        for sequence in self._running.values():
            count = sequence.pending if sequence.pending == 1 else min(sequence.pending, budget)
            if count:
                chunks.append(Chunk(sequence=sequence, count=count))
                budget -= count if sequence.pending > 1 else 0
        return Step(chunks=tuple(self._with_guesses(chunks)), gone=gone, copies=copies)

    def _with_guesses(self, chunks: list[Chunk]) -> list[Chunk]:
        """While few tokens run, reading the weights takes the time, and some more come nearly for nothing."""
        free = self._limits.guess_within - sum(chunk.count for chunk in chunks)
        room = free // len(chunks) if chunks else 0
        if room < 1:
            return chunks
        return [replace(chunk, guesses=chunk.sequence.guess(room)) if chunk.is_last else chunk for chunk in chunks]

    def computed(self, chunk: Chunk, right: int = 0) -> None:
        """Notes that a chunk has run and how many of its guesses were right; its blocks are there for others now."""
        sequence = chunk.sequence
        sequence.computed += chunk.count + right
        if chunk.guesses:
            sequence.lookup.learn(len(chunk.guesses), right)
        if sequence.lease and self.is_running(sequence):
            self.cache.publish(sequence.lease, sequence.ids, sequence.computed)

    def _admit(self) -> Iterator[tuple[int, int]]:
        """Lets in whoever fits, in turn; the copies of blocks that this needs."""
        while self._waiting and len(self._running) < self._limits.max_batch:
            user, queue = next(iter(self._waiting.items()))
            sequence = queue[0]
            job = sequence.job
            lease = self.cache.open(job.prompt, len(job.prompt) + job.max_tokens, sequence.owner, job.shared)
            if lease is None:
                return
            self._take_turn(user)
            sequence.lease, sequence.computed, sequence.cached = lease, lease.computed, lease.computed
            self._running[job.id] = sequence
            if lease.copied:
                yield lease.copied.index, lease.blocks[lease.published].index

    def _take_turn(self, user: str) -> None:
        """The oldest of a user leaves the queue, and the user goes to the end of the line."""
        queue = self._waiting.pop(user)
        queue.popleft()
        if queue:
            self._waiting[user] = queue

    def _close(self, sequence: Sequence) -> None:
        if sequence.lease:
            self.cache.close(sequence.lease, sequence.ids, sequence.computed)
            sequence.lease = None
