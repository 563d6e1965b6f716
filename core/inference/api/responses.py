"""Build chat completion responses, whole or as stream chunks, from the loop's outputs."""

from collections.abc import Sequence as Outputs
from dataclasses import dataclass

from core.inference.api.wire import (
    AssistantMessage,
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
from core.inference.batching.sequence import Logprob, Output, Sequence
from core.inference.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseBuilder:
    """Builds the response to one request. `created` is UTC epoch seconds."""

    sequence: Sequence
    vocabulary: Vocabulary
    model: str
    created: int

    def first_chunk(self) -> ChatChunk:
        """The chunk with the role, before any text."""
        return self._chunk([ChunkChoice(delta=Delta(role="assistant", content=""))])

    def chunk(self, output: Output) -> ChatChunk:
        delta = Delta(content=output.text) if output.text or not output.finish else Delta()
        logprobs = self._logprobs([output])
        return self._chunk([ChunkChoice(delta=delta, logprobs=logprobs, finish_reason=output.finish)])

    def usage_chunk(self) -> ChatChunk:
        """The chunk after the last text, sent if the request has `include_usage`."""
        return self._chunk([]).model_copy(update={"usage": self._usage()})

    def completion(self, outputs: Outputs[Output]) -> ChatCompletion:
        finish = outputs[-1].finish
        assert finish, "the last output has the finish reason"
        message = AssistantMessage(content="".join(output.text for output in outputs))
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
        prompt, completion = len(self.sequence.job.prompt), self.sequence.completion_tokens
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            prompt_tokens_details=PromptDetails(cached_tokens=self.sequence.cached),
        )

    def _logprobs(self, outputs: Outputs[Output]) -> Logprobs | None:
        """One entry for each sampled token, the EOS token included: a classifier must see that it was the likeliest."""
        if self.sequence.job.top_logprobs is None:
            return None
        entries = []
        for sampled in (output.sampled for output in outputs):
            assert sampled.logprob, "the runner reports log-probabilities if `top_logprobs` is set"
            top = [self._top_logprob(logprob) for logprob in sampled.top]
            entries.append(TokenLogprob(**dict(self._top_logprob(sampled.logprob)), top_logprobs=top))
        return Logprobs(content=entries)

    def _top_logprob(self, logprob: Logprob) -> TopLogprob:
        token = self.vocabulary.bytes_of(logprob.id)
        return TopLogprob(token=token.decode("utf-8", "replace"), logprob=logprob.value, bytes=list(token))
