"""The fake's HTTP server: the Bot API for bots, and /control for tests."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

from tests.fakes.telegram.calls import Calls
from tests.fakes.telegram.clock import FakeClock
from tests.fakes.telegram.faults import Fault, Kind
from tests.fakes.telegram.journal import Journal
from tests.fakes.telegram.limits import FloodControl
from tests.fakes.telegram.people import People
from tests.fakes.telegram.updates import UpdateQueue
from tests.fakes.telegram.world import Account, Json, Refused

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]
CAMEL = re.compile(r"(?<!^)([A-Z])")
TELLING = {
    "sendMessage",
    "editMessageText",
    "editMessageReplyMarkup",
    "editMessageMedia",
    "sendMessageDraft",
    "sendChatAction",
}
"""Calls that reach a chat and count for its flood control."""


@dataclass(slots=True, kw_only=True)
class Bot:
    """An account with its queue, limits and faults."""

    account: Account
    calls: Calls
    updates: UpdateQueue
    people: People
    flood_control: FloodControl
    delivering: asyncio.Task[None]
    begun: int = 0
    ended: int = 0
    faults: list[Fault] = field(default_factory=list)


class FakeTelegram:
    """Any number of independent bots. A token that was not created by /control/bots is refused."""

    def __init__(self, clock: FakeClock, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._bots: dict[str, Bot] = {}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", r"/bot{token:[^/]*}/{method}", self.call)
        app.router.add_post("/control/bots", self.make_bot)
        app.router.add_post("/control/clock", self.move_clock)
        app.router.add_get("/control/{bot}/journal", self.show_journal)
        app.router.add_get("/control/{bot}/state", self.show_state)
        app.router.add_get("/control/{bot}/calls", self.show_calls)
        app.router.add_post("/control/{bot}/faults", self.set_faults)
        app.router.add_post("/control/{bot}/{deed}", self.act)
        return app

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A method of the Bot API."""
        method = request.match_info["method"]
        bot = self._bots.get(request.match_info["token"])
        if bot is None:
            return _refusal(Refused(401, "Unauthorized"))
        if method == "getUpdates":
            return await self._answer(request, bot, method)
        bot.begun += 1
        try:
            return await self._answer(request, bot, method)
        finally:
            bot.ended += 1

    async def _answer(self, request: web.Request, bot: Bot, method: str) -> web.StreamResponse:
        given = await _given(request)
        chat = int(given.get("chat_id", 0))
        fault = next((fault for fault in bot.faults if fault.meets(method, chat)), None)
        self._note(bot, method, chat, fault)
        if fault and fault.kind is Kind.ERROR:
            return _refusal(_error(fault))
        if fault and fault.kind in {Kind.CUT, Kind.SILENCE}:
            return await _unheard(request, fault)
        if fault and fault.kind is Kind.LATE:
            await asyncio.sleep(0.5)
        try:
            result = await self._result(bot, method, chat, given)
        except Refused as refused:
            return _refusal(refused)
        if fault and fault.kind in {Kind.LOST, Kind.MUTE}:
            return await _unheard(request, fault)
        return web.json_response({"ok": True, "result": result})

    async def _result(self, bot: Bot, method: str, chat: int, given: Json) -> object:
        if method == "getUpdates":
            return await bot.updates.get_updates(given)
        call = getattr(bot.calls, CAMEL.sub(r"_\1", method).lower(), None)
        if call is None:
            raise Refused(404, "Not Found")
        if method in TELLING and (wait := bot.flood_control.charge(chat)) > 0:
            seconds = int(wait) + 1
            self._journal.write(bot.account.id, "flood", chat=chat, method=method, retry_after=seconds)
            raise Refused(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        return call(given)

    def _note(self, bot: Bot, method: str, chat: int, fault: Fault | None) -> None:
        if method != "getUpdates" or fault:
            self._journal.write(bot.account.id, "call", method=method, chat=chat, fault=fault.kind if fault else "")

    async def make_bot(self, request: web.Request) -> web.Response:
        account = Account(**await request.json())
        updates = UpdateQueue(account, self._clock, self._journal)
        self._bots[account.token] = Bot(
            account=account,
            calls=Calls(account, self._clock, self._journal),
            updates=updates,
            people=People(account, self._clock),
            flood_control=FloodControl(self._clock.now),
            delivering=asyncio.create_task(updates.deliver()),
        )
        return web.json_response({})

    async def move_clock(self, request: web.Request) -> web.Response:
        self._clock.advance((await request.json())["advance"])
        return web.json_response({"now": self._clock.now()})

    async def set_faults(self, request: web.Request) -> web.Response:
        self._bot(request).faults = [Fault(**{**given, "kind": Kind(given["kind"])}) for given in await request.json()]
        return web.json_response({})

    async def act(self, request: web.Request) -> web.Response:
        deed = getattr(self._bot(request).people, request.match_info["deed"])
        return web.json_response(deed(await request.json()))

    async def show_journal(self, request: web.Request) -> web.Response:
        """Wait for entries after the first `after`; with `now` return those so far at once."""
        bot, after = int(request.match_info["bot"]), int(request.query.get("after", 0))
        if "now" in request.query:
            return web.json_response(self._journal.of(bot)[after:])
        return web.json_response(await self._journal.after(bot, after))

    async def show_state(self, request: web.Request) -> web.Response:
        account = self._bot(request).account
        return web.json_response(
            {
                "chats": {chat.id: list(chat.messages.values()) for chat in account.chats.values()},
                "pending": len(account.pending),
                "allowed": sorted(account.allowed),
                "commands": account.commands,
                "descriptions": account.descriptions,
                "short_descriptions": account.short_descriptions,
                "webhook": account.webhook.url if account.webhook else "",
                "polls": account.polls,
                "last": account.next_update - 1,
                "now": self._clock.now(),
            }
        )

    async def show_calls(self, request: web.Request) -> web.Response:
        """The numbers of calls begun and ended, without getUpdates, which waits."""
        bot = self._bot(request)
        return web.json_response({"begun": bot.begun, "ended": bot.ended})

    def _bot(self, request: web.Request) -> Bot:
        return next(bot for bot in self._bots.values() if bot.account.id == int(request.match_info["bot"]))


async def _given(request: web.Request) -> Json:
    """The parameters of a call, from query, form or JSON; structured ones are JSON in a string.

    An uploaded file is its name and its text.
    """
    if request.content_type == "application/json":
        return dict(await request.json())
    given = {**request.query, **await request.post()}
    return {
        name: (value.filename, value.file.read().decode())
        if isinstance(value, web.FileField)
        else _value(name, str(value))
        for name, value in given.items()
    }


def _value(name: str, value: str) -> object:
    return value if name in {"text", "secret_token", "url", "callback_query_id"} else _json(value)


def _json(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _error(fault: Fault) -> Refused:
    if fault.retry_after:
        return Refused(429, f"Too Many Requests: retry after {fault.retry_after}", retry_after=fault.retry_after)
    return Refused(fault.status, fault.description)


def _refusal(refused: Refused) -> web.Response:
    body = {"ok": False, "error_code": refused.status, "description": refused.description}
    if refused.parameters:
        body["parameters"] = refused.parameters
    return web.json_response(body, status=refused.status)


async def _unheard(request: web.Request, fault: Fault) -> web.StreamResponse:
    """Give no answer: close the connection, or leave it open."""
    if fault.kind in {Kind.SILENCE, Kind.MUTE}:
        await asyncio.Event().wait()
    if request.transport is not None:  # the bot has not left yet
        request.transport.abort()
    return web.Response()
