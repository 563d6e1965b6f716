"""One HTTP request to a model server; failures become EngineErrors."""

from contextlib import closing
from http import HTTPStatus
from typing import Final

import aiohttp

from core.engine.wire import refusal_reason
from core.errors import EngineError, EngineLost, EngineRefused, EngineUnavailable
from core.http_sessions import PROXY_ERRORS

MAX_RESPONSE_BYTES: Final = 4 << 20
"""Size limit of a response that is read as a whole, such as a list of models or of token ids."""
FAULTS: Final = range(500, 600)
"""Statuses of a server that cannot answer."""
UNREACHED: Final[tuple[type[Exception], ...]] = (
    *(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL),
    *PROXY_ERRORS,
)
"""Errors of a request that did not reach the server."""


async def send(
    session: aiohttp.ClientSession, method: str, url: str, body: bytes | None = None
) -> aiohttp.ClientResponse:
    """Send a request; the successful response has its body unread. Raises an EngineError for any failure.

    The caller closes the response.
    """
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    try:
        response = await session.request(method, url, data=body, headers=headers, allow_redirects=False)
    except UNREACHED as error:
        raise EngineUnavailable(type(error).__name__) from None
    except aiohttp.ClientError as error:
        raise EngineLost(type(error).__name__) from None
    if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
        with closing(response):
            raise await _failure(response)
    return response


async def read(response: aiohttp.ClientResponse) -> bytes:
    """The whole body. Raises ValueError if it exceeds `MAX_RESPONSE_BYTES`."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise ValueError("the response is too large")
    return bytes(body)


async def _failure(response: aiohttp.ClientResponse) -> EngineError:
    """The EngineError for an error status. Of the body only a reason from a fixed list is used."""
    status = response.status
    try:
        body = await read(response)
    except (aiohttp.ClientError, ValueError):
        body = b""
    if (status in FAULTS and status != HTTPStatus.NOT_IMPLEMENTED) or status == HTTPStatus.TOO_MANY_REQUESTS:
        return EngineUnavailable(str(status))
    return EngineRefused(status=status, reason=refusal_reason(status, body))
