"""One request's state on its way through the model: ids, options, text and why it ended."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from core.inference.batching.detokenise import TextStream
from core.inference.batching.lookup import Lookup
from core.inference.batching.prefix import Lease

Finish: TypeAlias = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is chosen. A temperature of 0 is greedy; `top_k` 0 and `top_p` 1 switch these off."""

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What was asked. `max_tokens` already fits the context; `alternatives` is how many likely tokens to report with
    each one, None for no log-probabilities at all. The first `shared` ids of the prompt are nobody's own words.
    """

    id: str
    user: str
    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling
    seed: int
    shared: int = 0
    stop: tuple[str, ...] = ()
    alternatives: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Likelihood:
    """A token and its natural log-probability."""

    id: int
    logprob: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """The runner's choice for one sequence; `likelihood` and `top`, best first, where they were asked for."""

    id: int
    likelihood: Likelihood | None = None
    top: tuple[Likelihood, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One token's worth of reply. `text` may be empty: half a character, or what could begin a stop string."""

    text: str
    sampled: Sampled
    finish: Finish | None


@dataclass(slots=True, kw_only=True, eq=False)
class Sequence:
    """A job under way. The keys and values of the first `computed` ids are in the runner's cache."""

    job: Job
    text: TextStream
    ids: list[int] = field(default_factory=list)
    lookup: Lookup = field(default_factory=Lookup)
    lease: Lease | None = None
    computed: int = 0
    cached: int = 0
    finish: Finish | None = None

    def __post_init__(self) -> None:
        self.ids.extend(self.job.prompt)

    @property
    def owner(self) -> str:
        """Whose the words of this sequence are; a request that does not say whose it is has them for itself."""
        return self.job.user or self.job.id

    @property
    def pending(self) -> int:
        """How many ids must run before the next token can be sampled; 1 while decoding."""
        return len(self.ids) - self.computed

    @property
    def blocks(self) -> list[int]:
        """Where in the cache its keys and values are, while it runs."""
        assert self.lease, "a sequence that runs has been admitted"
        return self.lease.indexes

    @property
    def completion_tokens(self) -> int:
        return len(self.ids) - len(self.job.prompt)

    def guess(self, room: int) -> tuple[int, ...]:
        """What may come after the next token, as far as the reply may still go."""
        return self.lookup.guess(self.ids, min(room, self.job.max_tokens - self.completion_tokens - 1))

    def append(self, sampled: Sampled, token: bytes | None) -> Output:
        """Takes the next token; `token` is None when it is one that ends the reply."""
        self.ids.append(sampled.id)
        text = "" if token is None else self.text.feed(token)
        if token is None or self.text.stopped:
            self.finish = "stop"
        elif self.completion_tokens >= self.job.max_tokens:
            self.finish = "length"
        if self.finish:
            text += self.text.close()
        return Output(text=text, sampled=sampled, finish=self.finish)
