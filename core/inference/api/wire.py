"""Wire format of OpenAI chat completions: validated requests, responses and errors."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from core.inference.api.neutral import only
from core.inference.batching.sequence import MAX_PENALTY, MIN_PENALTY, Finish
from core.inference.tokens.template import Role

MAX_ALTERNATIVES = 20
MAX_STOPS = 16
MAX_FORGOTTEN = 1024


class RequestModel(BaseModel):
    """Part of a request. Known fields are validated strictly; unknown fields are ignored, as in other servers.

    So are fields that do not change the reply: `metadata`, `store`, `service_tier`, `safety_identifier`,
    `prompt_cache_key`, `parallel_tool_calls`, `reasoning_effort` and `verbosity`.
    """

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, frozen=True)


class TextPart(RequestModel):
    type: Literal["text"]
    text: str


class RequestMessage(RequestModel):
    role: Role
    content: str | list[TextPart]
    tool_calls: Annotated[object, only([])] = None
    function_call: Annotated[object, only()] = None
    audio: Annotated[object, only()] = None

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(RequestModel):
    include_usage: bool | None = None


Stop: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]
Count: TypeAlias = Annotated[int, Field(ge=1)]


class Unsupported(RequestModel):
    """What OpenAI, vLLM and llama.cpp can do and this server cannot. Ignored, it would give another reply than asked.

    A neutral 0 stands for false too.
    """

    tools: Annotated[object, only([])] = None
    tool_choice: Annotated[object, only("none", "auto")] = None
    functions: Annotated[object, only([])] = None
    function_call: Annotated[object, only("none", "auto")] = None
    modalities: Annotated[object, only(["text"])] = None
    audio: Annotated[object, only()] = None
    prediction: Annotated[object, only()] = None
    web_search_options: Annotated[object, only()] = None
    frequency_penalty: Annotated[object, only(0)] = None
    presence_penalty: Annotated[object, only(0)] = None
    logit_bias: Annotated[object, only({})] = None
    best_of: Annotated[object, only(1)] = None
    use_beam_search: Annotated[object, only(0)] = None
    length_penalty: Annotated[object, only(1)] = None
    min_p: Annotated[object, only(0)] = None
    typical_p: Annotated[object, only(1)] = None
    top_a: Annotated[object, only(0)] = None
    mirostat: Annotated[object, only(0)] = None
    min_tokens: Annotated[object, only(0)] = None
    ignore_eos: Annotated[object, only(0)] = None
    stop_token_ids: Annotated[object, only([])] = None
    bad_words: Annotated[object, only([])] = None
    prompt_logprobs: Annotated[object, only()] = None
    echo: Annotated[object, only(0)] = None
    suffix: Annotated[object, only("")] = None
    continue_final_message: Annotated[object, only(0)] = None
    chat_template: Annotated[object, only()] = None
    chat_template_kwargs: Annotated[object, only({}, {"enable_thinking": False})] = None
    documents: Annotated[object, only([])] = None
    structured_outputs: Annotated[object, only()] = None
    guided_json: Annotated[object, only()] = None
    guided_regex: Annotated[object, only()] = None
    guided_choice: Annotated[object, only()] = None
    guided_grammar: Annotated[object, only()] = None
    grammar: Annotated[object, only("")] = None
    json_schema: Annotated[object, only()] = None


class JsonSchema(RequestModel):
    """A named schema. It is always enforced, `strict` or not."""

    name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
    description: str | None = None
    schema_: Annotated[dict[str, object], Field(alias="schema")]
    strict: bool | None = None


class ResponseFormat(RequestModel):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None
    schema_: Annotated[object, Field(alias="schema"), only()] = None

    @model_validator(mode="after")
    def _has_its_schema(self) -> Self:
        if (self.json_schema is not None) != (self.type == "json_schema"):
            raise PydanticCustomError("json_schema", "json_schema belongs to the type json_schema, which needs it")
        return self

    @property
    def wanted(self) -> Mapping[str, object] | None:
        """The JSON schema of the reply; None if it is free text."""
        if self.json_schema:
            return self.json_schema.schema_
        return {"type": "object"} if self.type == "json_object" else None


class ChatRequest(Unsupported):
    """`POST /v1/chat/completions`. Sampling options default to the model's own."""

    model: str = ""
    messages: list[RequestMessage] = Field(min_length=1)
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0, le=5)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=MIN_PENALTY, le=MAX_PENALTY)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=MAX_STOPS)] | None = None
    response_format: ResponseFormat | None = None
    n: Literal[1] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_ALTERNATIVES)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None


class TokenizeRequest(RequestModel):
    """`POST /tokenize`, for plain text, in vLLM's format."""

    model: str = ""
    prompt: str


class TokenizeResponse(BaseModel):
    count: int
    tokens: list[int]
    max_model_len: int


class ForgetRequest(RequestModel):
    """`POST /forget`: keep nothing of what these users have sent for reuse. No other server has this route."""

    users: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=MAX_FORGOTTEN)]


class ForgetResponse(BaseModel):
    """The number of KV cache blocks that were kept of the users and can be found no more."""

    forgotten_blocks: int


class TopLogprob(BaseModel):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class Logprobs(BaseModel):
    content: list[TokenLogprob]


class PromptDetails(BaseModel):
    cached_tokens: int


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class AssistantMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    index: int = 0
    message: AssistantMessage
    logprobs: Logprobs | None
    finish_reason: Finish


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


def _is_none(value: object) -> bool:
    return value is None


class Delta(BaseModel):
    role: Literal["assistant"] | None = Field(default=None, exclude_if=_is_none)
    content: str | None = Field(default=None, exclude_if=_is_none)


class ChunkChoice(BaseModel):
    index: int = 0
    delta: Delta
    logprobs: Logprobs | None = None
    finish_reason: Finish | None = None


class ChatChunk(BaseModel):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = Field(default=None, exclude_if=_is_none)


class ModelCard(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["parley"] = "parley"
    max_model_len: int
    fingerprint: str


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelCard]


class ErrorBody(BaseModel):
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None


class ErrorResponse(BaseModel):
    error: ErrorBody


class RequestError(Exception):
    """Ends a request with an HTTP status and an OpenAI error body."""

    def __init__(self, status: int, error: ErrorBody, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error.message)
        self.status = status
        self.error = error
        self.headers = headers
