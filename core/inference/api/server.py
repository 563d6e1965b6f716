"""The model server as an ASGI application: its routes, and exceptions as OpenAI error responses."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NoReturn

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import Clock
from core.inference.api.completions import ChatCompletions, owner_of, require_model
from core.inference.api.http import ApiKeyMiddleware, json_response, read_request
from core.inference.api.wire import (
    ErrorBody,
    ErrorResponse,
    ForgetRequest,
    ForgetResponse,
    ModelCard,
    ModelList,
    RequestError,
    TokenizeRequest,
    TokenizeResponse,
)
from core.inference.batching.loop import Loop
from core.inference.grammars.schemas import Schemas
from core.inference.loader import LoadedModel

ABSENT: Final = (
    "/v1/embeddings",
    "/v1/completions",
    "/v1/responses",
    "/v1/moderations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/images/generations",
)
"""Endpoints of OpenAI that clients ask for, and that this server does not have."""
CODES: Final = {404: "unknown_url", 405: "method_not_supported"}
"""OpenAI's error codes for a wrong path or method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """`key` is required by every route except /health; an empty key allows every request.

    /health reports a stall if there is work and no step has completed for `stall_seconds`.
    """

    key: str = ""
    max_body_bytes: int = 1 << 20
    stall_seconds: float = 60.0


def create_app(
    model: LoadedModel,
    loop: Loop,
    options: ServerOptions,
    *,
    entropy: Callable[[int], int],
    clock: Clock,
) -> Starlette:
    """The ASGI application. `entropy(bits)` returns a random integer of `bits` bits."""
    card = ModelCard(
        id=model.name,
        created=int(clock.now()),
        max_model_len=model.max_model_len,
        fingerprint=model.fingerprint,
    )

    async def models(_: Request) -> Response:
        return json_response(ModelList(data=[card]))

    async def tokenize(request: Request) -> Response:
        text = await read_request(TokenizeRequest, request, options.max_body_bytes)
        require_model(text.model, model)
        ids = await asyncio.to_thread(model.vocabulary.encode, text.prompt)
        return json_response(TokenizeResponse(count=len(ids), tokens=ids, max_model_len=model.max_model_len))

    async def forget(request: Request) -> Response:
        asked = await read_request(ForgetRequest, request, options.max_body_bytes)
        return json_response(ForgetResponse(forgotten_blocks=loop.forget({owner_of(user) for user in asked.users})))

    async def health(_: Request) -> Response:
        running, waiting = loop.load
        if (stalled := loop.stalled_for) > options.stall_seconds:
            return JSONResponse({"status": "stalled", "for": round(stalled, 1)}, HTTPStatus.SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ok", "running": running, "waiting": waiting})

    async def metrics(_: Request) -> Response:
        return Response(loop.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    completions = ChatCompletions(
        model=model,
        loop=loop,
        schemas=Schemas(model.vocabulary, model.eos_ids),
        max_body_bytes=options.max_body_bytes,
        entropy=entropy,
        clock=clock,
    )
    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/tokenize", tokenize, methods=["POST"]),
            Route("/forget", forget, methods=["POST"]),
            Route("/health", health),
            Route("/metrics", metrics),
            *(Route(path, _refuse_endpoint, methods=["GET", "POST"]) for path in ABSENT),
        ],
        middleware=[Middleware(ApiKeyMiddleware, key=options.key)],
        exception_handlers={
            RequestError: _on_request_error,
            HTTPException: _on_http_exception,
            ClientDisconnect: _on_disconnect,
            Exception: _on_failure,
        },
    )


async def _refuse_endpoint(_: Request) -> NoReturn:
    message = "this server has chat completions only: POST /v1/chat/completions"
    raise RequestError(HTTPStatus.NOT_FOUND, ErrorBody(message=message, code="unsupported_endpoint"))


async def _on_request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    response = json_response(ErrorResponse(error=error.error), error.status)
    response.headers.update(error.headers or {})
    return response


async def _on_http_exception(_: Request, error: Exception) -> Response:
    """Unknown path or wrong method."""
    assert isinstance(error, HTTPException)
    body = ErrorBody(message=error.detail, code=CODES.get(error.status_code))
    response = json_response(ErrorResponse(error=body), error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _on_disconnect(_: Request, __: Exception) -> Response:
    """The client has disconnected; this response is never read."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _on_failure(_: Request, __: Exception) -> Response:
    error = ErrorBody(message="internal server error", type="server_error")
    return json_response(ErrorResponse(error=error), HTTPStatus.INTERNAL_SERVER_ERROR)
