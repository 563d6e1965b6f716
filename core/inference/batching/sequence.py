"""State of one request: token ids, options, KV cache blocks, text and finish reason."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from core.inference.batching.constraint import Constraint, Unconstrained
from core.inference.batching.detokenise import Detokeniser
from core.inference.batching.lookup import PromptLookup
from core.inference.batching.prefix import BlockTable
from core.inference.batching.thought import ThoughtFilter

Finish: TypeAlias = Literal["stop", "length"]
Fault: TypeAlias = Literal["not_finite", "step_failed", "constraint_failed"]
"""Why a sequence ended without a finish: its logits are no numbers, the step that it was part of raised, or its
constraint leaves no token.
"""

MIN_PENALTY, MAX_PENALTY = 0.1, 10.0
"""Repetition penalties that leave every score of a row a finite number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Sampling options. A temperature of 0 is greedy; `top_k` 0 and `top_p` 1 disable these filters."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A validated request. Prompt and `max_tokens` together fit the context.

    The first `shared` ids of the prompt contain no user's text: their KV cache blocks may be reused for every user.
    `top_logprobs` is the number of candidates to report with each token; None reports no log-probabilities at all.
    """

    id: str
    user: str
    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling
    seed: int
    shared: int = 0
    stop: tuple[str, ...] = ()
    top_logprobs: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logprob:
    """A token and its log-probability, natural logarithm."""

    id: int
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """A sampled token. `logprob` and `top`, the likeliest candidates in descending order, are set on request only."""

    id: int
    logprob: Logprob | None = None
    top: tuple[Logprob, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One token of a reply and the text to show with it: empty if a character, a stop string or a thought may be
    incomplete.
    """

    text: str
    sampled: Sampled
    finish: Finish | None


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """A job in progress: one batch row while it runs.

    The keys and values of the first `computed` ids are in the KV cache; `cached` of them came from the prefix cache.
    If it is not `reusable`, none of them stay for other sequences.
    """

    job: Job
    constraint: Constraint = field(default_factory=Unconstrained)
    ids: list[int] = field(init=False)
    detokeniser: Detokeniser = field(init=False)
    thought: ThoughtFilter = field(default_factory=ThoughtFilter)
    lookup: PromptLookup = field(default_factory=PromptLookup)
    block_table: BlockTable | None = None
    computed: int = 0
    cached: int = 0
    reusable: bool = True
    finish: Finish | None = None

    def __post_init__(self) -> None:
        self.ids = list(self.job.prompt)
        self.detokeniser = Detokeniser(self.job.stop)

    @property
    def owner(self) -> str:
        """The user whose sequences may reuse this one's blocks; a request without a user shares with no other."""
        return self.job.user or self.job.id

    @property
    def pending(self) -> int:
        """Number of ids to run before the next token can be sampled: 1 in a decode step, more in prefill."""
        return len(self.ids) - self.computed

    @property
    def block_ids(self) -> list[int]:
        """Indices of its KV cache blocks, in order, while it runs."""
        assert self.block_table, "a running sequence has a block table"
        return self.block_table.block_ids

    @property
    def completion_tokens(self) -> int:
        return len(self.ids) - len(self.job.prompt)

    def draft(self, max_tokens: int, rows: int) -> tuple[int, ...]:
        """Draft tokens for speculation in a step of so many `rows`, at most `max_tokens`, and within the reply's length
        limit.
        """
        return self.lookup.draft(self.ids, min(max_tokens, self.job.max_tokens - self.completion_tokens - 1), rows)

    def append(self, sampled: Sampled, token: bytes | None) -> Output:
        """Append a sampled token; `token` is its bytes, or None for an EOS token."""
        self.ids.append(sampled.id)
        text = "" if token is None else self.detokeniser.feed(token)
        if token is None or self.detokeniser.stopped:
            self.finish = "stop"
        elif self.completion_tokens >= self.job.max_tokens:
            self.finish = "length"
        if self.finish:
            text += self.detokeniser.close()
        text = self.thought.feed(text) + (self.thought.close() if self.finish else "")
        return Output(text=text, sampled=sampled, finish=self.finish)
