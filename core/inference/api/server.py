"""The HTTP side of the model server: routes, the key, and errors in the protocol's shape."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from core.clock import Clock
from core.inference.api.completions import ChatCompletions, require_model
from core.inference.api.edge import KeyRequired, as_json, parse, read_body
from core.inference.api.wire import (
    ErrorBody,
    ErrorResponse,
    ModelCard,
    ModelList,
    RequestError,
    TokenizeRequest,
    TokenizeResponse,
)
from core.inference.batching.loop import Loop
from core.inference.loader import LoadedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """`key` guards every route but /health, empty asks for none. After `stall_seconds` without a finished step while
    there is work, /health says so.
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
    """The ASGI application. `entropy` gives as many random bits as it is asked for."""
    card = ModelCard(id=model.name, created=int(clock.now()), max_model_len=model.max_model_len)

    async def models(_: Request) -> Response:
        return as_json(ModelList(data=[card]))

    async def tokenize(request: Request) -> Response:
        asked = parse(TokenizeRequest, await read_body(request.scope, request.receive, options.max_body_bytes))
        require_model(asked.model, model)
        ids = await asyncio.to_thread(model.vocabulary.encode, asked.prompt)
        return as_json(TokenizeResponse(count=len(ids), tokens=ids, max_model_len=model.max_model_len))

    async def health(_: Request) -> Response:
        running, waiting = loop.load
        if (stalled := loop.stalled_for) > options.stall_seconds:
            return JSONResponse({"status": "stalled", "for": round(stalled, 1)}, HTTPStatus.SERVICE_UNAVAILABLE)
        return JSONResponse({"status": "ok", "running": running, "waiting": waiting})

    async def metrics(_: Request) -> Response:
        return Response(loop.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    completions = ChatCompletions(
        model=model, loop=loop, max_body_bytes=options.max_body_bytes, entropy=entropy, clock=clock
    )
    return Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/models", models),
            Route("/tokenize", tokenize, methods=["POST"]),
            Route("/health", health),
            Route("/metrics", metrics),
        ],
        middleware=[Middleware(KeyRequired, key=options.key)],
        exception_handlers={
            RequestError: _refused,
            HTTPException: _not_served,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    response = as_json(ErrorResponse(error=error.error), error.status)
    response.headers.update(error.headers or {})
    return response


async def _not_served(_: Request, error: Exception) -> Response:
    """An unknown path or a wrong method."""
    assert isinstance(error, HTTPException)
    response = as_json(ErrorResponse(error=ErrorBody(message=error.detail)), error.status_code)
    response.headers.update(error.headers or {})
    return response


async def _gone(_: Request, __: Exception) -> Response:
    """Nobody is there to read this any more."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _failed(_: Request, __: Exception) -> Response:
    error = ErrorBody(message="the server failed", type="server_error")
    return as_json(ErrorResponse(error=error), HTTPStatus.INTERNAL_SERVER_ERROR)
