"""A model behind an OpenAI-compatible server: our own on a Unix socket, or any other by its URL."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

import httpx

from core.engine.estimate import estimate_tokens
from core.engine.http import read, send
from core.engine.protocol import Piece
from core.engine.sse import events
from core.engine.wire import (
    COMPLETION,
    MODELS,
    SHAPES,
    TOKENIZED,
    Shape,
    chat_body,
    chunk_finish,
    chunk_text,
    encode,
    first_tokens,
    token_count,
    usage_of,
)
from core.errors import EngineError, EngineLost, EngineRefused, EngineUnavailable
from core.messages import NO_USAGE
from core.prompt import Prompt

NO_LOGPROBS: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.NOT_IMPLEMENTED}
"""How servers that cannot say how likely a token was refuse the question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIServer:
    """Where a server listens. `url` ends in /v1; with a `socket_path` its host is only a name.

    An empty `model` is the first that the server lists.
    """

    url: str = "http://localhost/v1"
    socket_path: Path | None = None
    model: str = ""
    api_key: str = field(default="", repr=False)
    connect_seconds: float = 5.0


class OpenAIEngine:
    """The `Engine` that a server offers; it need not be up yet. No call is tried twice, and the only deadline is the
    one for connecting: the caller sets the others.
    """

    def __init__(self, server: OpenAIServer) -> None:
        self.server = server
        self._tls = httpx.create_ssl_context()
        self._model = server.model
        self._tokenize_shapes: tuple[Shape, ...] = SHAPES

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        options: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}}
        if temperature is not None:
            options["temperature"] = temperature
        if user:
            options["user"] = user
        body = chat_body(prompt, await self.identity(), max_tokens=max_tokens, **options)
        async with (
            self._answer("POST", f"{self.server.url}/chat/completions", body) as response,
            aclosing(_pieces(response)) as pieces,
        ):
            yield pieces

    async def first_token(self, prompt: Prompt) -> Mapping[bytes, float]:
        """Empty where the server refuses or omits logprobs: the mood is neutral then."""
        options = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 20, "stream": False}
        body = chat_body(prompt, await self.identity(), **options)
        try:
            answer = await self._ask("POST", f"{self.server.url}/chat/completions", body)
        except EngineRefused as refused:
            if refused.status in NO_LOGPROBS:
                return {}
            raise
        try:
            return first_tokens(COMPLETION.validate_json(answer))
        except ValueError:
            raise EngineLost("malformed completion") from None

    async def count_tokens(self, text: str) -> int:
        """Asks /tokenize at the server's root in each known shape; a server that knows none is not asked again."""
        if not text:
            return 0
        for shape in self._tokenize_shapes:
            count = await self._count_tokens(shape, text)
            if count is not None:
                return count
            self._tokenize_shapes = tuple(other for other in self._tokenize_shapes if other != shape)
        return estimate_tokens(text)

    async def identity(self) -> str:
        """The configured name, or the first the server lists; asked for again after the server could not be reached."""
        if not self._model:
            answer = await self._ask("GET", f"{self.server.url}/models")
            try:
                models = MODELS.validate_json(answer).data
            except ValueError:
                raise EngineLost("malformed list of models") from None
            if not models:
                raise EngineUnavailable("the server lists no model")
            self._model = models[0].id
        return self._model

    async def _count_tokens(self, shape: Shape, text: str) -> int | None:
        """The count, or None where the server does not take this shape."""
        try:
            answer = await self._ask("POST", self.server.url.removesuffix("/v1") + "/tokenize", encode({shape: text}))
            return token_count(TOKENIZED.validate_json(answer), shape)
        except EngineRefused as refused:
            return estimate_tokens(text) if refused.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else None
        except ValueError:
            return None

    async def _ask(self, method: str, url: str, body: bytes | None = None) -> bytes:
        """The whole answer to a request."""
        async with self._answer(method, url, body) as response:
            try:
                return await read(response)
            except (httpx.HTTPError, ValueError) as error:
                raise EngineLost(type(error).__name__) from None

    @asynccontextmanager
    async def _answer(self, method: str, url: str, body: bytes | None = None) -> AsyncIterator[httpx.Response]:
        """A good answer whose body is still to be read; its connection is closed at the end, read or not."""
        async with self._client() as client:
            try:
                response = await send(client, method, url, body)
            except EngineError:
                self._model = self.server.model  # whoever answers next may serve another
                raise
            yield response

    def _client(self) -> httpx.AsyncClient:
        """A client for one call. Closing a connection is what stops a model, and a pool that outlives the call may
        lose sight of one: httpcore 1.0 does where a task is cancelled at certain points.

        A Unix socket knows no proxies, whatever the environment says.
        """
        socket = self.server.socket_path
        key = self.server.api_key
        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(None, connect=self.server.connect_seconds),
            transport=httpx.AsyncHTTPTransport(uds=str(socket), verify=self._tls) if socket else None,
            verify=self._tls,
            trust_env=socket is None,
        )


async def _pieces(response: httpx.Response) -> AsyncGenerator[Piece, None]:
    """The reply in a body of server-sent events. Usage comes after the finish, if at all: the last piece waits for it.

    A body that breaks once the finish has come has lost nothing of the reply.
    """
    finish, usage = None, NO_USAGE
    try:
        async with aclosing(events(response.aiter_bytes())) as stream:
            async for data in stream:
                if data == b"[DONE]":
                    break
                chunk = COMPLETION.validate_json(data)
                if chunk.error is not None:
                    raise EngineLost("the server reports an error")
                if text := chunk_text(chunk):
                    yield Piece(text=text)
                finish = chunk_finish(chunk) or finish
                usage = usage_of(chunk.usage) if chunk.usage else usage
    except (httpx.HTTPError, ValueError) as error:
        if finish is None:
            raise EngineLost(type(error).__name__) from None
    if finish is None:
        raise EngineLost("the reply has no end")
    yield Piece(finish=finish, usage=usage)
