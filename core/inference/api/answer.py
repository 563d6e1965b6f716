"""From the loop's outputs to the protocol's shapes, whole or in chunks."""

from collections.abc import Sequence as Listed
from dataclasses import dataclass

from core.inference.api.wire import (
    Answer,
    ChatChunk,
    ChatCompletion,
    Choice,
    ChunkChoice,
    Delta,
    Logprobs,
    PromptDetails,
    TokenLogprob,
    TopLogprob,
    Usage,
)
from core.inference.batching.sequence import Likelihood, Output, Sequence
from core.inference.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """One answer in the making. `created` is UTC epoch seconds."""

    sequence: Sequence
    vocabulary: Vocabulary
    model: str
    created: int

    def opening(self) -> ChatChunk:
        return self._chunk([ChunkChoice(delta=Delta(role="assistant", content=""))])

    def piece(self, output: Output) -> ChatChunk:
        delta = Delta(content=output.text) if output.text or not output.finish else Delta()
        logprobs = self._logprobs([output])
        return self._chunk([ChunkChoice(delta=delta, logprobs=logprobs, finish_reason=output.finish)])

    def closing(self) -> ChatChunk:
        """The chunk after the last piece, for those who asked for the usage."""
        return self._chunk([]).model_copy(update={"usage": self._usage()})

    def whole(self, outputs: Listed[Output]) -> ChatCompletion:
        finish = outputs[-1].finish
        assert finish, "an answer is whole when its last output finishes it"
        message = Answer(content="".join(output.text for output in outputs))
        return ChatCompletion(
            id=self.sequence.job.id,
            created=self.created,
            model=self.model,
            choices=[Choice(message=message, logprobs=self._logprobs(outputs), finish_reason=finish)],
            usage=self._usage(),
        )

    def _chunk(self, choices: list[ChunkChoice]) -> ChatChunk:
        return ChatChunk(id=self.sequence.job.id, created=self.created, model=self.model, choices=choices)

    def _usage(self) -> Usage:
        read, written = len(self.sequence.job.prompt), self.sequence.completion_tokens
        return Usage(
            prompt_tokens=read,
            completion_tokens=written,
            total_tokens=read + written,
            prompt_tokens_details=PromptDetails(cached_tokens=self.sequence.cached),
        )

    def _logprobs(self, outputs: Listed[Output]) -> Logprobs | None:
        """Every token that was sampled, the one that ended the answer included: a label may lose to it."""
        if self.sequence.job.alternatives is None:
            return None
        entries = []
        for sampled in (output.sampled for output in outputs):
            assert sampled.likelihood, "the runner reports likelihoods where alternatives are asked for"
            top = [self._likelihood(likelihood) for likelihood in sampled.top]
            entries.append(TokenLogprob(**dict(self._likelihood(sampled.likelihood)), top_logprobs=top))
        return Logprobs(content=entries)

    def _likelihood(self, likelihood: Likelihood) -> TopLogprob:
        token = self.vocabulary.bytes_of(likelihood.id)
        return TopLogprob(token=token.decode("utf-8", "replace"), logprob=likelihood.logprob, bytes=list(token))
