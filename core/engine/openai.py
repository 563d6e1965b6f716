"""Client of an OpenAI-compatible server: our own on a Unix socket, or any other by its URL."""

import hmac
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Final

import aiohttp
import httpx

from core.engine.estimate import estimate_tokens
from core.engine.http import read, send
from core.engine.protocol import Piece
from core.engine.sse import events
from core.engine.wire import (
    COMPLETION,
    FORGOTTEN,
    MODELS,
    TOKENIZE_FIELDS,
    TOKENIZED,
    Model,
    TokenizeField,
    chat_body,
    chunk_finish,
    chunk_text,
    encode,
    first_tokens,
    token_count,
    usage_of,
)
from core.errors import EngineError, EngineLost, EngineRefused, EngineUnavailable
from core.http_sessions import open_session
from core.messages import NO_USAGE
from core.prompt import Prompt

NO_LOGPROBS: Final = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.NOT_IMPLEMENTED}
"""Statuses with which servers without logprobs refuse a request for them."""
SESSION_HEADER: Final = "x-session-id"
"""What the routers of several servers are told to look for, such as that of vLLM's production-stack."""
SESSION_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIServer:
    """A server's address and credentials. `url` ends in /v1; if `socket_path` is set, the host in it is ignored.

    If `model` is empty, the first model that the server lists is used. An empty `api_key` sends none. `sessions` is the
    secret of the session ids that go with replies; an empty one sends none. An empty `proxy` is none.
    """

    url: str
    model: str
    api_key: str = field(repr=False)
    sessions: bytes = field(default=b"", repr=False)
    proxy: str = field(default="", repr=False)
    socket_path: Path | None = None
    connect_seconds: float = 5.0


class OpenAIEngine:
    """An `Engine` over HTTP. The server need not be up yet.

    Calls are not retried. The only timeout here is the one for connecting; the caller sets the others.
    """

    def __init__(self, server: OpenAIServer) -> None:
        self.server = server
        self._tls = httpx.create_ssl_context() if server.url.startswith("https:") else None
        self._model = _configured(server)
        self._tokenize_fields: tuple[TokenizeField, ...] = TOKENIZE_FIELDS

    @asynccontextmanager
    async def stream(
        self, prompt: Prompt, *, max_tokens: int, temperature: float | None = None, user: str = ""
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        options: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}}
        if temperature is not None:
            options["temperature"] = temperature
        options |= _owner(user)
        body = chat_body(prompt, (await self._served()).id, max_tokens=max_tokens, **options)
        async with (
            self._request("POST", f"{self.server.url}/chat/completions", body, user) as response,
            aclosing(_pieces(response)) as pieces,
        ):
            yield pieces

    async def first_token(self, prompt: Prompt, *, user: str = "") -> Mapping[bytes, float]:
        """First-token log-probabilities; empty if the server refuses or omits logprobs (the mood is neutral then)."""
        options = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 20, "stream": False}
        body = chat_body(prompt, (await self._served()).id, **options, **_owner(user))
        try:
            answer = await self._fetch("POST", f"{self.server.url}/chat/completions", body)
        except EngineRefused as refused:
            if refused.status in NO_LOGPROBS:
                return {}
            raise
        try:
            return first_tokens(COMPLETION.validate_json(answer))
        except ValueError:
            raise EngineLost("malformed completion") from None

    async def count_tokens(self, text: str) -> int:
        """Ask /tokenize, which lies beside /v1, with the text in each known field; estimate if the server knows none.

        A field that the server does not understand is not tried again.
        """
        if not text:
            return 0
        for name in self._tokenize_fields:
            count = await self._count_tokens(name, text)
            if count is not None:
                return count
            self._tokenize_fields = tuple(other for other in self._tokenize_fields if other != name)
        return estimate_tokens(text)

    async def identity(self) -> str:
        model = await self._served()
        return f"{model.id} {model.fingerprint}".strip()

    async def forget(self, users: Sequence[str]) -> bool:
        """Ask /forget, which lies beside /v1. Only our own server has it; any other answer means that it cannot."""
        try:
            FORGOTTEN.validate_json(await self._fetch("POST", self._beside("forget"), encode({"users": users})))
        except (EngineRefused, ValueError):
            return False
        return True

    async def metrics(self) -> bytes:
        """Ask /metrics, which lies beside /v1 on many servers."""
        try:
            return await self._fetch("GET", self._beside("metrics"))
        except EngineRefused:
            return b""

    async def _served(self) -> Model:
        """The configured model, or the first that the server lists. It is asked again after a failed request."""
        if self._model is None:
            answer = await self._fetch("GET", f"{self.server.url}/models")
            try:
                models = MODELS.validate_json(answer).data
            except ValueError:
                raise EngineLost("malformed list of models") from None
            if not models:
                raise EngineUnavailable("the server lists no model")
            self._model = models[0]
        return self._model

    async def _count_tokens(self, name: TokenizeField, text: str) -> int | None:
        """The count, or None if the server does not read the text from `name`. A router needs the model's name."""
        body = encode({"model": (await self._served()).id, name: text})
        try:
            answer = await self._fetch("POST", self._beside("tokenize"), body)
            return token_count(TOKENIZED.validate_json(answer), name)
        except EngineRefused as refused:
            is_readable = refused.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or refused.reason == "model_not_found"
            return estimate_tokens(text) if is_readable else None
        except ValueError:
            return None

    def _beside(self, name: str) -> str:
        """The URL of a route that is no part of OpenAI's API."""
        return f"{self.server.url.removesuffix('/v1')}/{name}"

    async def _fetch(self, method: str, url: str, body: bytes | None = None) -> bytes:
        """The whole body of a successful response."""
        async with self._request(method, url, body) as response:
            try:
                return await read(response)
            except (aiohttp.ClientError, ValueError) as error:
                raise EngineLost(type(error).__name__) from None

    @asynccontextmanager
    async def _request(
        self, method: str, url: str, body: bytes | None = None, user: str = ""
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful response with its body unread. The connection is closed on exit, read or not."""
        async with self._session(user) as session:
            try:
                response = await send(session, method, url, body)
            except EngineError:
                self._model = _configured(self.server)  # the server may come back with another model
                raise
            with closing(response):
                yield response

    def _session(self, user: str) -> aiohttp.ClientSession:
        """A session for one call, without a shared pool: closing the connection is what stops the model."""
        server, key = self.server, self.server.api_key
        headers = ({"Authorization": f"Bearer {key}"} if key else {}) | self._session_id(user)
        timeout = aiohttp.ClientTimeout(total=None, connect=server.connect_seconds)
        if server.socket_path is None:
            return open_session(server.proxy, timeout, tls=self._tls, headers=headers)
        connector = aiohttp.UnixConnector(str(server.socket_path))
        return aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers)

    def _session_id(self, user: str) -> dict[str, str]:
        """The header by which a router finds the server that knows the conversation.

        Unlike a body, it may stand in a router's log, so it is a keyed digest of the `user`. Classifications have none:
        any server may read them.
        """
        if not (user and self.server.sessions):
            return {}
        return {SESSION_HEADER: hmac.digest(self.server.sessions, user.encode(), "sha256")[:SESSION_BYTES].hex()}


def _configured(server: OpenAIServer) -> Model | None:
    return Model(id=server.model) if server.model else None


def _owner(user: str) -> dict[str, str]:
    return {"user": user} if user else {}


async def _pieces(response: aiohttp.ClientResponse) -> AsyncGenerator[Piece, None]:
    """The pieces of a reply, from a body of server-sent events. Raises EngineLost if it ends without a finish reason.

    Usage arrives after the finish reason, if at all, so the last piece is held back until the body ends. A connection
    that breaks after the finish reason loses nothing of the reply.
    """
    finish, usage = None, NO_USAGE
    try:
        async with aclosing(events(response.content.iter_any())) as stream:
            async for data in stream:
                if data == b"[DONE]":
                    break
                chunk = COMPLETION.validate_json(data)
                if chunk.error is not None:
                    raise EngineLost("the server reported an error")
                if text := chunk_text(chunk):
                    yield Piece(text=text)
                finish = chunk_finish(chunk) or finish
                usage = usage_of(chunk.usage) if chunk.usage else usage
    except (aiohttp.ClientError, ValueError) as error:
        if finish is None:
            raise EngineLost(type(error).__name__) from None
    if finish is None:
        raise EngineLost("the reply has no finish reason")
    yield Piece(finish=finish, usage=usage)
