"""One request to a server, and what its failure means."""

from http import HTTPStatus
from typing import Final

import httpx

from core.engine.wire import refusal_reason
from core.errors import EngineError, EngineLost, EngineRefused, EngineUnavailable

MAX_ANSWER_BYTES: Final = 4 << 20
"""The longest answer read as a whole, such as a list of models or of token ids."""


async def send(client: httpx.AsyncClient, method: str, url: str, body: bytes | None = None) -> httpx.Response:
    """A good answer with its body unread, or an EngineError; the caller closes the client."""
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
    """The body. ValueError where it is longer than any sane one."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            raise ValueError("an answer without end")
    return bytes(body)


async def _failure(response: httpx.Response) -> EngineError:
    """What an error status means. The body is read for a known reason only."""
    status = response.status_code
    try:
        body = await read(response)
    except (httpx.HTTPError, ValueError):
        body = b""
    if (response.is_server_error and status != HTTPStatus.NOT_IMPLEMENTED) or status == HTTPStatus.TOO_MANY_REQUESTS:
        return EngineUnavailable(str(status))
    return EngineRefused(status=status, reason=refusal_reason(status, body))
