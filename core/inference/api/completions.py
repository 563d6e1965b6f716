"""`POST /v1/chat/completions`: from a request to a sequence, and from its outputs to an answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from core.clock import Clock
from core.errors import ControlToken
from core.inference.api.answer import Answering
from core.inference.api.edge import as_json, parse, read_body, while_connected
from core.inference.api.wire import ChatRequest, ErrorBody, RequestError
from core.inference.batching.detokenise import TextStream
from core.inference.batching.loop import Loop
from core.inference.batching.sequence import Job, Output, Sampling, Sequence
from core.inference.loader import LoadedModel
from core.inference.tokens.template import Said

RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletions:
    """The endpoint, as an ASGI application: however it is left, the model is free for others.

    `entropy` gives as many random bits as it is asked for.
    """

    model: LoadedModel
    loop: Loop
    max_body_bytes: int
    entropy: Callable[[int], int]
    clock: Clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = parse(ChatRequest, await read_body(scope, receive, self.max_body_bytes))
        require_model(asked.model, self.model)
        sequence = await asyncio.to_thread(self._sequence, asked)
        await while_connected(receive, self._answer(asked, sequence, scope, receive, send))

    async def _answer(self, asked: ChatRequest, sequence: Sequence, scope: Scope, receive: Receive, send: Send) -> None:
        answering = Answering(
            sequence=sequence, vocabulary=self.model.vocabulary, model=self.model.name, created=int(self.clock.now())
        )
        async with self._outputs(sequence) as outputs:
            if asked.stream:
                with_usage = bool(asked.stream_options and asked.stream_options.include_usage)
                await _send_events(send, _chunks(answering, outputs, with_usage=with_usage))
            else:
                completion = answering.whole([output async for output in outputs])
                await as_json(completion)(scope, receive, send)

    def _sequence(self, asked: ChatRequest) -> Sequence:
        try:
            said = [Said(role=message.role, text=message.text) for message in asked.messages]
            prompt = self.model.template.build(said)
        except ControlToken as error:
            raise RequestError(400, ErrorBody(message=error.reason, param="messages", code="control_token")) from error
        room = self.model.max_model_len - len(prompt)
        if room < 1:
            message = f"the context is {self.model.max_model_len} tokens, the messages are {len(prompt)}"
            raise RequestError(400, ErrorBody(message=message, param="messages", code="context_length_exceeded"))
        if asked.top_logprobs and not asked.logprobs:
            raise RequestError(400, ErrorBody(message="top_logprobs needs logprobs", param="top_logprobs"))
        job = Job(
            id=f"chatcmpl-{self.entropy(96):024x}",
            user=asked.user or "",
            prompt=tuple(prompt),
            shared=self.model.template.common(said, prompt),
            max_tokens=min(asked.max_completion_tokens or asked.max_tokens or self.model.max_new_tokens, room),
            sampling=_sampling(asked, self.model.sampling),
            seed=self.entropy(63) if asked.seed is None else asked.seed,
            stop=(asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ()),
            alternatives=(asked.top_logprobs or 0) if asked.logprobs else None,
        )
        return Sequence(job=job, text=TextStream(job.stop))

    @asynccontextmanager
    async def _outputs(self, sequence: Sequence) -> AsyncIterator[AsyncIterator[Output]]:
        """The outputs of a sequence as they come. Leaving takes it from the model, finished or not."""
        queue: asyncio.Queue[Output] = asyncio.Queue()
        here = asyncio.get_running_loop()
        if not self.loop.submit(sequence, lambda output: here.call_soon_threadsafe(queue.put_nowait, output)):
            error = ErrorBody(message="too many requests wait already", type="overloaded_error", code="queue_full")
            raise RequestError(503, error, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        try:
            yield _until_finished(queue)
        finally:
            self.loop.remove(sequence)


def require_model(asked: str, model: LoadedModel) -> None:
    """One model is served, by its name or by none."""
    if asked not in ("", model.name):
        error = ErrorBody(message=f"the model served here is {model.name}", param="model", code="model_not_found")
        raise RequestError(404, error)


def _sampling(asked: ChatRequest, own: Sampling) -> Sampling:
    return Sampling(
        temperature=own.temperature if asked.temperature is None else asked.temperature,
        top_k=own.top_k if asked.top_k is None else max(asked.top_k, 0),
        top_p=own.top_p if asked.top_p is None else asked.top_p,
        repetition_penalty=own.repetition_penalty if asked.repetition_penalty is None else asked.repetition_penalty,
    )


async def _until_finished(queue: asyncio.Queue[Output]) -> AsyncIterator[Output]:
    finish = None
    while finish is None:
        output = await queue.get()
        finish = output.finish
        yield output


async def _chunks(
    answering: Answering, outputs: AsyncIterator[Output], *, with_usage: bool
) -> AsyncIterator[BaseModel]:
    yield answering.opening()
    async for output in outputs:
        if output.text or output.finish or output.sampled.likelihood:
            yield answering.piece(output)
    if with_usage:
        yield answering.closing()


async def _send_events(send: Send, events: AsyncIterator[BaseModel]) -> None:
    """Server-sent events, as the protocol has them: each in a `data:` line, `[DONE]` at the end."""
    headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for event in events:
        data = f"data: {event.model_dump_json()}\n\n".encode()
        await send({"type": "http.response.body", "body": data, "more_body": True})
    await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": False})
