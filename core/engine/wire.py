"""Chat completions as they travel: what is sent, and what a foreign server's answer means.

Everything a server says is checked here and nowhere else. Whatever may be null, missing or extra in one of the common
servers may be so here; the rest raises pydantic's ValidationError, which is a ValueError and quotes the answer: it is
never shown or logged.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, Literal, TypeAlias, get_args

from pydantic import Field, TypeAdapter

from core.messages import Finish, Usage
from core.prompt import Prompt

Count: TypeAlias = Annotated[int, Field(ge=0, lt=1 << 31)]
Byte: TypeAlias = Annotated[int, Field(ge=0, le=255)]

Shape: TypeAlias = Literal["prompt", "content"]
"""The field in which a text to be counted travels: vLLM's, or llama.cpp's."""
SHAPES: Final[tuple[Shape, ...]] = get_args(Shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    content: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One of the tokens that might have come first."""

    token: str
    logprob: float
    bytes: list[Byte] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    top_logprobs: list[Candidate] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logprobs:
    content: list[Position] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    delta: Delta | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptDetails:
    cached_tokens: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WireUsage:
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: PromptDetails | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A whole completion, or one chunk of a streamed one. `error` is what some servers send in mid-stream."""

    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    error: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    data: list[Model] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenized:
    """vLLM answers with `count`, llama.cpp with the tokens only."""

    count: Count | None = None
    tokens: list[object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    code: object = None
    type: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorBody:
    error: ErrorDetail | None = None


COMPLETION: Final = TypeAdapter(Completion)
MODELS: Final = TypeAdapter(ModelList)
TOKENIZED: Final = TypeAdapter(Tokenized)
ERROR: Final = TypeAdapter(ErrorBody)

KNOWN_REASONS: Final = frozenset(
    {
        "context_length_exceeded",
        "control_token",
        "exceed_context_size_error",
        "insufficient_quota",
        "invalid_api_key",
        "invalid_request_error",
        "model_not_found",
        "request_too_large",
    }
)
"""What a server may say about a refusal. Anything else it says may quote the prompt."""


def chat_body(prompt: Prompt, model: str, **options: object) -> bytes:
    """A request for a chat completion. Lone surrogates, which no JSON text may hold, become "?"."""
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    return encode({"model": model, "messages": messages, **options})


def encode(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def chunk_text(chunk: Completion) -> str:
    delta = chunk.choices[0].delta if chunk.choices else None
    return (delta and delta.content) or ""


def chunk_finish(chunk: Completion) -> Finish | None:
    """Why the reply ended; None while it has not, or where the server gave up. Reasons unknown here count as an end."""
    reason = chunk.choices[0].finish_reason if chunk.choices else None
    if reason in {None, "", "abort", "error"}:
        return None
    return Finish.LENGTH if reason == "length" else Finish.STOP


def usage_of(usage: WireUsage) -> Usage:
    details = usage.prompt_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=(details and details.cached_tokens) or 0,
    )


def first_tokens(completion: Completion) -> dict[bytes, float]:
    """The candidates for the first token, with their log-probabilities; empty where the server gives none."""
    choice = completion.choices[0] if completion.choices else Choice()
    position = choice.logprobs.content[0] if choice.logprobs and choice.logprobs.content else Position()
    return {
        bytes(candidate.bytes) if candidate.bytes is not None else candidate.token.encode(): candidate.logprob
        for candidate in position.top_logprobs or ()
        if math.isfinite(candidate.logprob)
    }


def token_count(said: Tokenized, shape: Shape) -> int | None:
    """The count in an answer to `shape`; None where there is none.

    llama.cpp answers a question it does not understand with no tokens, so that none of them is not a count.
    """
    return said.count if shape == "prompt" else (len(said.tokens) if said.tokens else None)


def refusal_reason(status: int, body: bytes) -> str:
    """A few words about a refusal, from a fixed list: error messages may quote the prompt."""
    try:
        detail = ERROR.validate_json(body).error
    except ValueError:
        detail = None
    for said in (detail.code, detail.type) if detail else ():
        if isinstance(said, str) and said in KNOWN_REASONS:
            return said
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown status"
