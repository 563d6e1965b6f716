"""The API's errors for answers of Telegram, and for answers that are not Telegram's."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from telegram import Bot
from telegram.request import BaseRequest, HTTPXRequest

from bots.connection import Connection
from bots.telegram.api import TelegramApi
from bots.telegram.budget import Budget
from core.backoff import Backoff
from core.clock import ManualClock
from core.errors import DeliveryFailed, DeliveryRejected, RateLimited, TokenRefused
from tests.core.engine.fake_server import FakeServer

TOKEN = "123:canary"


class Answers(BaseRequest):
    """A network on which every request gets the same answer."""

    read_timeout = 5.0

    def __init__(self, status: int, body: Any) -> None:  # noqa: ANN401  JSON
        self._answer = status, json.dumps(body).encode()

    async def initialize(self) -> None:
        pass

    async def shutdown(self) -> None:
        pass

    async def do_request(self, *_args: Any, **_options: Any) -> tuple[int, bytes]:  # noqa: ANN401
        return self._answer


def opened(status: int, body: object) -> tuple[TelegramApi, Connection]:
    clock, answers = ManualClock(), Answers(status, body)
    connection = Connection("telegram", clock, Backoff(first=1, longest=30))
    bot = Bot(TOKEN, request=answers, get_updates_request=answers)
    return TelegramApi(bot, Budget(clock), connection), connection


@pytest.mark.parametrize("body", [{"ok": True}, {"ok": True, "result": []}, {"ok": True, "result": {"id": 1}}, 7, []])
async def test_what_is_not_telegram_fails_for_now(body: object) -> None:
    """An answer of another shape, as from a proxy, is a temporary failure whose text is not quoted."""
    api, connection = opened(200, body)
    with capture_logs() as logs, pytest.raises(DeliveryFailed) as caught:
        await api.identify()
    assert TOKEN not in f"{caught.value} {caught.value.reason} {logs}"
    assert caught.value.__suppress_context__
    assert connection.health().heard_at is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [(401, TokenRefused), (404, TokenRefused), (403, DeliveryRejected), (400, DeliveryRejected), (409, DeliveryFailed)],
)
async def test_refusals_are_errors_of_ours(status: int, expected: type[Exception]) -> None:
    """Each HTTP status is the error that says whether the call may be repeated."""
    api, _ = opened(status, {"ok": False, "error_code": status, "description": "because"})
    with pytest.raises(expected):
        await api.get_updates(0, poll=0, read_timeout=1)


@pytest.mark.parametrize("seconds", [3, 137])
async def test_rate_limit_carries_telegrams_wait(seconds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a 429 carries the seconds that Telegram asks to wait."""
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    body = {"ok": False, "error_code": 429, "description": "slow", "parameters": {"retry_after": seconds}}
    api, _ = opened(429, body)
    with pytest.raises(RateLimited) as caught:
        await api.identify()
    assert caught.value.retry_after == seconds


async def test_answer_is_heard() -> None:
    """A call that Telegram answers counts for health."""
    user = {"id": 123, "is_bot": True, "first_name": "Parley", "username": "parley_bot"}
    api, connection = opened(200, {"ok": True, "result": user})
    assert str(await api.identify()) == "@parley_bot"
    assert connection.health().heard_at is not None


async def test_no_module_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call imports nothing: httpx asks for sniffio at each of its locks, and one that is missing is looked for in all
    folders of the import path each time.
    """
    looked_for: list[str] = []

    class Spy:
        @staticmethod
        def find_spec(name: str, _path: object = None, _target: object = None) -> None:
            looked_for.append(name)

    fake = FakeServer(socket_path=Path("unused"), answers={})
    async with await asyncio.start_server(fake.serve, "127.0.0.1", 0) as server, HTTPXRequest() as request:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/bot"
        await request.do_request(url, "POST")
        monkeypatch.setattr(sys, "meta_path", [Spy, *sys.meta_path])
        status, _ = await request.do_request(url, "POST")
        server.close()
        await fake.settled()
    assert (status, looked_for) == (404, [])
