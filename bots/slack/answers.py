"""Reads the answers of Slack's Web API. What has another form than documented reaches neither library nor store.

Source of the forms: docs.slack.dev/apis/web-api, "Evaluating responses" and "Rate limits", and each method's page.
"""

import math
from collections.abc import Mapping
from typing import Annotated, TypeAlias, TypeVar

import aiohttp
from pydantic import BaseModel, Field, StrictStr, ValidationError
from slack_sdk.web.async_client import AsyncWebClient

from bots.reading import MAX_BYTES, Unreadable, read_json, retry_after
from core.clock import Clock
from core.errors import AnswerUnreadable

M = TypeVar("M", bound=BaseModel)

RETRY_AFTER = 2.0
"""Seconds until a call is made again whose answer could not be read."""
RATE_LIMIT_RETRY_AFTER = 30.0
"""The same for a 429 without a Retry-After."""
HEADER = "Retry-After"
SUCCESS, CHUNK, MAX_ERROR = 200, 1 << 16, 100

Id: TypeAlias = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
"""An id that can stand in a handle or in the key of a conversation."""
Ts: TypeAlias = Annotated[StrictStr, Field(pattern=r"^[0-9]{1,12}\.[0-9]{1,9}$")]


class Account(BaseModel):
    team_id: Id
    user_id: Id
    enterprise_id: Id | None = None


class Posted(BaseModel):
    ts: Ts


class PostedDirectly(Posted):
    channel: Id


class Upload(BaseModel):
    upload_url: StrictStr
    file_id: Id


class Socket(BaseModel):
    url: Annotated[StrictStr, Field(pattern=r"^wss?://")]


class Client(AsyncWebClient):
    """The library's client, which gets answers that have been read. It is given the session at its start."""

    def __init__(self, token: str, base_url: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        super().__init__(token=token, base_url=base_url, session=session, retry_handlers=[])
        self._calls = session
        self._clock = clock

    async def _request(
        self, *, http_verb: str, api_url: str, req_args: dict[str, object]
    ) -> dict[str, object]:  # the library's one place where a request is made
        async with self._calls.request(http_verb, api_url, **req_args) as answer:  # type: ignore[arg-type]  # its own
            body = await read_body(answer)
            seconds = seconds_to_wait(answer.headers, self._clock)
            headers = {**answer.headers, HEADER: str(math.ceil(seconds))}
            return {"data": read_fields(answer.status, body), "headers": headers, "status_code": answer.status}


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """The body of an answer. Raises AnswerUnreadable if it is too large."""
    body = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK):
        body += chunk
        if len(body) > MAX_BYTES:
            raise AnswerUnreadable(retry_after=RETRY_AFTER, reason="too large")
    return bytes(body)


def seconds_to_wait(headers: Mapping[str, str], clock: Clock) -> float:
    """What the header Retry-After asks for, within bounds."""
    return retry_after(headers.get(HEADER), clock.now(), RATE_LIMIT_RETRY_AFTER)


def read_fields(status: int, body: bytes) -> Mapping[str, object]:
    """The fields of an answer; of a failure only its error. Raises AnswerUnreadable for a success without a form."""
    try:
        fields = read_json(body)
    except Unreadable:
        fields = None
    if isinstance(fields, dict) and status == SUCCESS and fields.get("ok") is True:
        return fields
    error = fields.get("error") if isinstance(fields, dict) and fields.get("ok") is False else None
    if error is None and status == SUCCESS:
        raise AnswerUnreadable(retry_after=RETRY_AFTER, reason="no JSON of Slack's")
    return {
        "ok": False,
        "error": error if isinstance(error, str) and error.isascii() and len(error) < MAX_ERROR else "",
    }


def read(model: type[M], fields: object) -> M:
    """The typed result of a call. Raises AnswerUnreadable."""
    try:
        return model.model_validate(fields)
    except ValidationError:
        raise AnswerUnreadable(retry_after=RETRY_AFTER, reason=f"no {model.__name__}") from None
