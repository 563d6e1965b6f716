"""One HTTP request to a model server; failures become EngineErrors."""

from http import HTTPStatus
from typing import Final

import httpx

from core.engine.wire import refusal_reason
from core.errors import EngineError, EngineLost, EngineRefused, EngineUnavailable

MAX_RESPONSE_BYTES: Final = 4 << 20
"""Size limit of a response that is read as a whole, such as a list of models or of token ids."""


async def send(client: httpx.AsyncClient, method: str, url: str, body: bytes | None = None) -> httpx.Response:
    """Send a request; the successful response has its body unread. Raises an EngineError for any failure.

    The caller closes the client, and with it the response.
    """
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    request = client.build_request(method, url, content=body, headers=headers)
    try:
        response = await client.send(request, stream=True)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
        raise EngineUnavailable(type(error).__name__) from None
    except httpx.HTTPError as error:
        raise EngineLost(type(error).__name__) from None
    if not response.is_success:
        raise await _failure(response)
    return response


async def read(response: httpx.Response) -> bytes:
    """The whole body. Raises ValueError if it exceeds `MAX_RESPONSE_BYTES`."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES:
            raise ValueError("the response is too large")
    return bytes(body)


async def _failure(response: httpx.Response) -> EngineError:
    """The EngineError for an error status. Of the body only a reason from a fixed list is used."""
    status = response.status_code
    try:
        body = await read(response)
    except (httpx.HTTPError, ValueError):
        body = b""
    if (response.is_server_error and status != HTTPStatus.NOT_IMPLEMENTED) or status == HTTPStatus.TOO_MANY_REQUESTS:
        return EngineUnavailable(str(status))
    return EngineRefused(status=status, reason=refusal_reason(status, body))
