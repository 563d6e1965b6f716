"""HTTP of every route: the API key, request bodies, JSON responses and disconnecting clients."""

import asyncio
import hmac
from collections.abc import Coroutine
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.body import read_body
from core.inference.api.wire import ErrorBody, ErrorResponse, RequestError

Parsed = TypeVar("Parsed", bound=BaseModel)


class ApiKeyMiddleware:
    """Refuses requests without `Authorization: Bearer KEY`, except for /health. An empty key allows every request."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode() if key else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/health" and not self._is_authorized(scope):
            error = ErrorBody(message="the API key is missing or wrong", code="invalid_api_key")
            await json_response(ErrorResponse(error=error), status=401)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_authorized(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get("authorization", "").encode("latin-1")
        return not self._expected or hmac.compare_digest(given, self._expected)


def json_response(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")


async def read_request(model: type[Parsed], request: Request, max_bytes: int) -> Parsed:
    """The validated request body. Raises RequestError, with status 413 or 400, if it is too large or invalid."""
    body = await read_body(request, max_bytes)
    if body is None:
        error = ErrorBody(message=f"the request body exceeds {max_bytes} bytes", code="request_too_large")
        raise RequestError(413, error)
    return _parse(model, body)


def _parse(model: type[Parsed], body: bytes) -> Parsed:
    """The validated body. The error names the first invalid field and never quotes its value."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = ".".join(map(str, first["loc"])) or None
        message = f"{path}: {first['msg']}" if path else first["msg"]
        raise RequestError(400, ErrorBody(message=message, param=path, code=first["type"])) from None


async def cancel_on_disconnect(receive: Receive, work: Coroutine[None, None, None]) -> None:
    """Run `work`, and cancel it as soon as the client disconnects. The request body must have been read before."""
    working, listening = asyncio.create_task(work), asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait((working, listening), return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        listening.cancel()
        await asyncio.wait((working, listening))
    if not working.cancelled():
        working.result()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
