"""Wire format of chat completions: request bodies, and what a server's responses mean.

Responses are validated here and nowhere else. Fields that a common server leaves null or out are optional, and extra
fields are ignored. Anything else raises pydantic's ValidationError, a ValueError. It quotes the response, so it must
never be shown or logged.
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

TokenizeField: TypeAlias = Literal["prompt", "content"]
"""Request field of /tokenize that holds the text: "prompt" for vLLM, "content" for llama.cpp."""
TOKENIZE_FIELDS: Final[tuple[TokenizeField, ...]] = get_args(TokenizeField)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    content: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A candidate for one position, with its log-probability."""

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
    """A whole completion, or one chunk of a stream. Some servers report a failure in mid-stream as `error`."""

    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    error: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that a server lists. Parley's own server adds a fingerprint of the weights."""

    id: str
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    data: list[Model] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenized:
    """Response of /tokenize: vLLM sends `count`, llama.cpp only the tokens."""

    count: Count | None = None
    tokens: list[object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """Response of our own server's /forget."""

    forgotten_blocks: Count


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
FORGOTTEN: Final = TypeAdapter(Forgotten)
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
"""Error codes that may be shown and logged. Any other text from a server could quote the prompt."""


def chat_body(prompt: Prompt, model: str, **options: object) -> bytes:
    """Body of a chat completion request. Lone surrogates, which UTF-8 cannot encode, become "?"."""
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    return encode({"model": model, "messages": messages, **options})


def encode(body: Mapping[str, object]) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


def chunk_text(chunk: Completion) -> str:
    delta = chunk.choices[0].delta if chunk.choices else None
    return (delta and delta.content) or ""


def chunk_finish(chunk: Completion) -> Finish | None:
    """Why the reply ended; None if it goes on or the server aborted it. Unknown reasons count as STOP."""
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
    """Candidates for the first token, as bytes, with their log-probabilities; empty if the server sent none.

    Infinite log-probabilities are left out.
    """
    choice = completion.choices[0] if completion.choices else Choice()
    position = choice.logprobs.content[0] if choice.logprobs and choice.logprobs.content else Position()
    return {
        bytes(candidate.bytes) if candidate.bytes is not None else candidate.token.encode(): candidate.logprob
        for candidate in position.top_logprobs or ()
        if math.isfinite(candidate.logprob)
    }


def token_count(response: Tokenized, name: TokenizeField) -> int | None:
    """The count in the response to a request with the text in field `name`; None if it has none.

    llama.cpp answers a request that it does not understand with an empty list, so an empty list is not a count.
    """
    return response.count if name == "prompt" else (len(response.tokens) if response.tokens else None)


def refusal_reason(status: int, body: bytes) -> str:
    """The reason of a refusal, from a fixed list, since error messages may quote the prompt; else the HTTP phrase."""
    try:
        detail = ERROR.validate_json(body).error
    except ValueError:
        detail = None
    for reason in (detail.code, detail.type) if detail else ():
        if isinstance(reason, str) and reason in KNOWN_REASONS:
            return reason
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else "unknown status"
