"""What stands between the socket and the handlers: the key, the size limit, parsing, and noticing who hung up."""

import asyncio
import hmac
from collections.abc import Coroutine
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from core.inference.api.wire import ErrorBody, ErrorResponse, RequestError

Parsed = TypeVar("Parsed", bound=BaseModel)
HANGS_UP = "http.disconnect"


class KeyRequired:
    """Lets nothing but /health through without `Authorization: Bearer KEY`. An empty key asks for none."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode() if key else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/health" and not self._is_known(scope):
            error = ErrorBody(message="the API key is missing or wrong", code="invalid_api_key")
            await as_json(ErrorResponse(error=error), status=401)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_known(self, scope: Scope) -> bool:
        given = Headers(scope=scope).get("authorization", "").encode("latin-1")
        return not self._expected or hmac.compare_digest(given, self._expected)


def as_json(body: BaseModel, status: int = 200) -> Response:
    return Response(body.model_dump_json(), status, media_type="application/json")


async def read_body(scope: Scope, receive: Receive, max_bytes: int) -> bytes:
    """The whole body, refused as soon as it is known to be over `max_bytes`."""
    size = int(Headers(scope=scope).get("content-length", "0"))
    body = bytearray()
    more = True
    while more and size <= max_bytes:
        message = await receive()
        if message["type"] == HANGS_UP:
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        size = max(size, len(body))
    if size > max_bytes:
        raise RequestError(413, ErrorBody(message=f"the body is over {max_bytes} bytes", code="request_too_large"))
    return bytes(body)


def parse(shape: type[Parsed], body: bytes) -> Parsed:
    """The request, or a 400 that names the first field at fault and never repeats what was sent."""
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"])) or None
        message = f"{where}: {first['msg']}" if where else first["msg"]
        raise RequestError(400, ErrorBody(message=message, param=where, code=first["type"])) from None


async def while_connected(receive: Receive, work: Coroutine[None, None, None]) -> None:
    """Runs `work` to its end, or cancels it as soon as the client hangs up. The body must have been read."""
    working, listening = asyncio.create_task(work), asyncio.create_task(_hung_up(receive))
    try:
        await asyncio.wait((working, listening), return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        listening.cancel()
        await asyncio.wait((working, listening))
    if not working.cancelled():
        working.result()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != HANGS_UP:
        pass
