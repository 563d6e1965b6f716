"""Reads the answers of Telegram's Bot API. What has another form than documented does not reach the library.

The library reads answers without checks: a wrong type in one raises any exception, or comes back as an id. Source of
the forms: core.telegram.org/bots/api, "Making requests", "ResponseParameters" and the results of each method.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr, TypeAdapter, ValidationError
from telegram.error import TelegramError
from telegram.request import BaseRequest, RequestData

from bots.reading import Unreadable, read_json, retry_after
from bots.telegram.payloads import MAX_ID
from core.clock import Clock

RETRY_AFTER = 5.0
"""Seconds until a call is repeated after a 429 that names no time."""
MAX_DESCRIPTION = 300
SUCCESS, TOO_MANY = range(200, 300), 429
UPDATE_ID = re.compile(rb'(?<!\\)"update_id"\s*:\s*(\d{1,18})\b')
"""An update's number in a body that cannot be read. In a person's words the quotation marks are escaped."""
UPDATES = TypeAdapter(list[object])
CHAT = TypeAdapter(Annotated[StrictInt, Field(gt=-MAX_ID, lt=MAX_ID)])


class AnswerRefused(TelegramError):
    """An answer that cannot be read. `updates` are the numbers of the updates that stand in it."""

    def __init__(self, updates: tuple[int, ...] = ()) -> None:
        super().__init__("unreadable answer")
        self.updates = updates


class Posted(BaseModel):
    message_id: Annotated[StrictInt, Field(gt=0, lt=MAX_ID)]


class Topic(BaseModel):
    message_thread_id: Annotated[StrictInt, Field(gt=0, lt=MAX_ID)]


class Account(BaseModel):
    id: Annotated[StrictInt, Field(gt=0, lt=MAX_ID)]
    username: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")] | None = None
    can_read_all_group_messages: StrictBool = False


class Description(BaseModel):
    description: StrictStr


class ShortDescription(BaseModel):
    short_description: StrictStr


class Webhook(BaseModel):
    url: StrictStr = ""


class ReadingRequest(BaseRequest):
    """A network whose answers are read before the library reads them."""

    def __init__(self, network: BaseRequest, clock: Clock) -> None:
        self._network = network
        self._clock = clock

    @property
    def read_timeout(self) -> float | None:
        return self._network.read_timeout

    async def initialize(self) -> None:
        await self._network.initialize()

    async def shutdown(self) -> None:
        await self._network.shutdown()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        *timeouts: Any,  # noqa: ANN401  the library's own
        **named: Any,  # noqa: ANN401
    ) -> tuple[int, bytes]:
        status, body = await self._network.do_request(url, method, request_data, *timeouts, **named)
        return status, read_answer(url.rpartition("/")[2], status, body, self._clock.now())


def read_answer(method: str, status: int, body: bytes, now: float) -> bytes:
    """The answer to a call of a method, with the fields that Parley reads and no others. Raises AnswerRefused."""
    try:
        answer = read_json(body)
    except Unreadable:
        answer = None
    if status not in SUCCESS:
        return json.dumps(_refusal(status, answer if isinstance(answer, dict) else {}, now)).encode()
    if not isinstance(answer, dict) or answer.get("ok") is not True or "result" not in answer:
        raise AnswerRefused(tuple(map(int, UPDATE_ID.findall(body))))
    try:
        result = RESULTS.get(method.lower(), _done)(answer["result"])
    except ValidationError:
        raise AnswerRefused from None  # the library's errors are logged, and this one quotes the answer
    return json.dumps({"ok": True, "result": result}).encode()


def _refusal(status: int, answer: Mapping[str, object], now: float) -> Mapping[str, object]:
    """Why Telegram refuses a call, when it may be repeated, and the new id of a group that has moved."""
    said, given = answer.get("description"), answer.get("parameters")
    described = said.encode("utf-8", "replace").decode()[:MAX_DESCRIPTION] if isinstance(said, str) else ""
    asked = given if isinstance(given, dict) else {}
    parameters: dict[str, int] = {}
    if status == TOO_MANY:
        parameters["retry_after"] = max(1, math.ceil(retry_after(asked.get("retry_after"), now, RETRY_AFTER)))
    if chat := _chat(asked.get("migrate_to_chat_id")):
        parameters["migrate_to_chat_id"] = chat
    return {"ok": False, "error_code": status, "description": described, "parameters": parameters}


def _chat(value: object) -> int:
    try:
        return CHAT.validate_python(value)
    except ValidationError:
        return 0


def _posted(result: object) -> object:
    """The id of the message. The library does without its other fields but for a date and a chat."""
    sent = Posted.model_validate(result)
    return {"message_id": sent.message_id, "date": 0, "chat": {"id": 0, "type": "private"}}


def _topic(result: object) -> object:
    """The id of the topic. The library does without its name and color."""
    return {"name": "", "icon_color": 0, **Topic.model_validate(result).model_dump()}


def _account(result: object) -> object:
    return {"is_bot": True, "first_name": "", **Account.model_validate(result).model_dump()}


def _webhook(result: object) -> object:
    return {"has_custom_certificate": False, "pending_update_count": 0, **Webhook.model_validate(result).model_dump()}


def _updates(result: object) -> object:
    """Updates of any form, which intake reads one by one."""
    return UPDATES.validate_python(result, strict=True)


def _done(_result: object) -> object:
    """Of other methods nothing is read but that they succeeded."""
    return True


def _described(result: object) -> object:
    return Description.model_validate(result).model_dump()


def _described_shortly(result: object) -> object:
    return ShortDescription.model_validate(result).model_dump()


RESULTS: Mapping[str, Callable[[object], object]] = {
    "createforumtopic": _topic,
    "getme": _account,
    "getmydescription": _described,
    "getmyshortdescription": _described_shortly,
    "getupdates": _updates,
    "getwebhookinfo": _webhook,
    "sendmessage": _posted,
}
