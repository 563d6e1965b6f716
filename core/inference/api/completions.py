"""`POST /v1/chat/completions`: a request becomes a sequence, its outputs become the response."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from core.clock import Clock
from core.errors import ControlToken, RolesRefused
from core.inference.api.http import cancel_on_disconnect, json_response, read_request
from core.inference.api.responses import ResponseBuilder
from core.inference.api.wire import ChatRequest, ErrorBody, ErrorResponse, RequestError
from core.inference.batching.constraint import Constraint, Unconstrained
from core.inference.batching.loop import Loop
from core.inference.batching.sequence import Fault, Job, Output, Sampling, Sequence
from core.inference.grammars.bounds import SchemaRefused
from core.inference.grammars.schemas import Schemas
from core.inference.loader import LoadedModel
from core.inference.tokens.template import ChatMessage
from core.text import digest

RETRY_AFTER_SECONDS = 5
SCHEMA = "response_format.json_schema.schema"
FAULTS: Mapping[Fault, str] = {
    "not_finite": "the model failed in the middle of this reply",
    "step_failed": "the model failed in the middle of this reply",
    "constraint_failed": "response_format leaves nothing to say in the middle of this reply, or takes too much work",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletions:
    """The endpoint, as an ASGI application. However a request ends, its sequence is removed from the loop.

    `entropy(bits)` returns a random integer of `bits` bits.
    """

    model: LoadedModel
    loop: Loop
    schemas: Schemas
    max_body_bytes: int
    entropy: Callable[[int], int]
    clock: Clock
    _compiling: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = await read_request(ChatRequest, Request(scope, receive), self.max_body_bytes)
        require_model(request.model, self.model)
        constraint = await self._constraint(request)
        sequence = await asyncio.to_thread(self._sequence, request, constraint)
        await cancel_on_disconnect(receive, self._respond(request, sequence, scope, receive, send))

    async def _respond(
        self, request: ChatRequest, sequence: Sequence, scope: Scope, receive: Receive, send: Send
    ) -> None:
        builder = ResponseBuilder(
            sequence=sequence, vocabulary=self.model.vocabulary, model=self.model.name, created=int(self.clock.now())
        )
        async with self._outputs(sequence) as outputs:
            if request.stream:
                with_usage = bool(request.stream_options and request.stream_options.include_usage)
                await _send_events(send, _chunks(builder, outputs, with_usage=with_usage))
            else:
                completion = builder.completion([output async for output in outputs])
                await json_response(completion)(scope, receive, send)

    async def _constraint(self, request: ChatRequest) -> Constraint:
        """Compiled one at a time, since that takes a core from the model. Raises RequestError if it is refused."""
        schema = request.response_format.wanted if request.response_format else None
        if schema is None:
            return Unconstrained()
        async with self._compiling:
            try:
                return await asyncio.to_thread(self.schemas.constraint, schema)
            except SchemaRefused as error:
                body = ErrorBody(message=f"{SCHEMA}: {error.reason}", param=SCHEMA, code="schema_refused")
                raise RequestError(400, body) from error

    def _sequence(self, request: ChatRequest, constraint: Constraint) -> Sequence:
        """The request as a sequence. Raises RequestError if it does not fit the context."""
        try:
            messages = [ChatMessage(role=message.role, text=message.text) for message in request.messages]
            prompt = self.model.template.build(messages)
        except ControlToken as error:
            raise RequestError(400, ErrorBody(message=error.reason, param="messages", code="control_token")) from error
        except RolesRefused as error:
            raise RequestError(400, ErrorBody(message=error.reason, param="messages", code="roles")) from error
        room = self.model.max_model_len - len(prompt)
        if room < 1:
            message = (
                f"the prompt of {len(prompt)} tokens leaves no room in the context of {self.model.max_model_len} tokens"
            )
            raise RequestError(400, ErrorBody(message=message, param="messages", code="context_length_exceeded"))
        if request.top_logprobs and not request.logprobs:
            raise RequestError(400, ErrorBody(message="top_logprobs requires logprobs", param="top_logprobs"))
        job = Job(
            id=f"chatcmpl-{self.entropy(96):024x}",
            user=owner_of(request.user) if request.user else "",
            prompt=tuple(prompt),
            shared=self.model.template.shared_prefix(messages, prompt),
            max_tokens=min(request.max_completion_tokens or request.max_tokens or self.model.max_new_tokens, room),
            sampling=_sampling(request, self.model.sampling),
            seed=self.entropy(63) if request.seed is None else request.seed,
            stop=(request.stop,) if isinstance(request.stop, str) else tuple(request.stop or ()),
            top_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
        )
        return Sequence(job=job, constraint=constraint)

    @asynccontextmanager
    async def _outputs(self, sequence: Sequence) -> AsyncIterator[AsyncIterator[Output]]:
        """Submit a sequence and yield its outputs. Leaving the context removes it from the loop, finished or not."""
        queue: asyncio.Queue[Output | Fault] = asyncio.Queue()
        event_loop = asyncio.get_running_loop()
        if not self.loop.submit(sequence, lambda output: event_loop.call_soon_threadsafe(queue.put_nowait, output)):
            error = ErrorBody(message="the waiting queue is full", type="overloaded_error", code="queue_full")
            raise RequestError(503, error, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        try:
            yield _until_finished(queue)
        finally:
            self.loop.remove(sequence)


def owner_of(user: str) -> str:
    """What stands for a user in the prefix cache."""
    return digest(user).hex()


def require_model(name: str, model: LoadedModel) -> None:
    """Raise RequestError with status 404 if a request names another model; an empty name is the served one."""
    if name not in ("", model.name):
        error = ErrorBody(message=f"this server serves {model.name} only", param="model", code="model_not_found")
        raise RequestError(404, error)


def _sampling(request: ChatRequest, default: Sampling) -> Sampling:
    penalty = request.repetition_penalty
    return Sampling(
        temperature=default.temperature if request.temperature is None else request.temperature,
        top_k=default.top_k if request.top_k is None else max(request.top_k, 0),
        top_p=default.top_p if request.top_p is None else request.top_p,
        repetition_penalty=default.repetition_penalty if penalty is None else penalty,
    )


async def _until_finished(queue: asyncio.Queue[Output | Fault]) -> AsyncIterator[Output]:
    """The outputs up to the finish. Raises RequestError with status 500 if the sequence ends with a fault."""
    finish = None
    while finish is None:
        output = await queue.get()
        if isinstance(output, str):
            error = ErrorBody(message=FAULTS[output], type="server_error", code=output)
            raise RequestError(500, error)
        finish = output.finish
        yield output


async def _chunks(
    builder: ResponseBuilder, outputs: AsyncIterator[Output], *, with_usage: bool
) -> AsyncIterator[BaseModel]:
    yield builder.first_chunk()
    async for output in outputs:
        if output.text or output.finish or output.sampled.logprob:
            yield builder.chunk(output)
    if with_usage:
        yield builder.usage_chunk()


async def _send_events(send: Send, events: AsyncIterator[BaseModel]) -> None:
    """Send server-sent events: one `data:` line each, then `[DONE]`. An error is an event too, as in vLLM."""
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    try:
        async for event in events:
            await send(_event(event))
    except RequestError as error:
        await send(_event(ErrorResponse(error=error.error)))
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})


def _event(event: BaseModel) -> Message:
    return {"type": "http.response.body", "body": f"data: {event.model_dump_json()}\n\n".encode(), "more_body": True}
