"""The fake's HTTP and WebSocket server, and the control API for tests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, WSMsgType, web

from tests.fakes.slack.clock import Clock
from tests.fakes.slack.errors import SlackError
from tests.fakes.slack.events import Events, signed
from tests.fakes.slack.faults import Fault, Faults
from tests.fakes.slack.journal import Journal
from tests.fakes.slack.workspace import APP_TOKEN, BOT_TOKEN, RESPONSE_SECONDS, RESPONSES, TEAM, Workspace

AFTERWARDS, UNANSWERED = {"lost", "mute"}, {"silence", "mute"}


class Slack:
    """The whole fake. `reset` starts a new workspace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.port = 0
        self.begin()

    def begin(self) -> None:
        self.journal = Journal(self.path)
        self.clock = Clock()
        self.faults = Faults()
        self.events = Events(self.journal, self.clock)
        self.workspace = Workspace(self.journal, self.clock, self.events.emit)
        self.tickets: dict[str, bool] = {}
        self.refused_sockets = 0
        self.spent_responses = False
        self.refused_uploads = False
        self.host = "127.0.0.1"
        self.tokens = {"xoxb": BOT_TOKEN, "xapp": APP_TOKEN}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self.api)
        app.router.add_get("/link", self.link)
        app.router.add_post("/respond/{name}", self.respond)
        app.router.add_post("/upload/{file}", self.upload)
        app.router.add_get("/control/state", self.state)
        app.router.add_post("/control/{verb}", self.control)
        return app

    async def api(self, request: web.Request) -> web.StreamResponse:
        method, params = request.match_info["method"], await _params(request)
        self.workspace.calls[method] += 1
        self.journal.changed()
        fault = self.faults.next(method, params, self.clock.now)
        if fault is not None and fault.kind not in AFTERWARDS:
            return await self._failure(request, method, fault)
        try:
            result = self._call(request, method, params)
        except SlackError as error:
            return web.json_response({"ok": False, "error": str(error)})
        if fault is not None:
            return await self._failure(request, method, fault)
        return web.json_response({"ok": True} | result)

    async def _failure(self, request: web.Request, method: str, fault: Fault) -> web.StreamResponse:
        if fault.kind in UNANSWERED:
            self.journal.write("unanswered", method=method, kind=fault.kind)
            await asyncio.Event().wait()
        return _failed(request, fault)

    def _call(self, request: web.Request, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self.workspace.upload_url = f"http://127.0.0.1:{self.port}/upload"
        needed = self.tokens["xapp" if method == "apps.connections.open" else "xoxb"]
        if request.headers.get("Authorization") != f"Bearer {needed}":
            raise SlackError("invalid_auth")
        if method == "apps.connections.open":
            ticket = f"t{len(self.tickets) + 1}"
            self.tickets[ticket] = True
            return {"url": f"ws://{self.host}:{self.port}/link?ticket={ticket}"}
        return self.workspace.call(method, params)

    async def link(self, request: web.Request) -> web.StreamResponse:
        """Open a socket for an unused ticket."""
        ticket = request.query.get("ticket", "")
        usable = self.tickets.get(ticket, False)
        self.tickets[ticket] = False
        self.journal.changed()
        if not usable or self.refused_sockets:
            self.refused_sockets = max(0, self.refused_sockets - usable)
            return web.Response(status=403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": len(self.events.sockets) + 1})
        self.events.sockets.append(socket)
        self.journal.changed()
        try:
            async for frame in socket:
                if frame.type is WSMsgType.TEXT and "envelope_id" in (said := json.loads(frame.data)):
                    self.events.acknowledge(said["envelope_id"])
        finally:
            if socket in self.events.sockets:
                self.events.sockets.remove(socket)
                self.journal.changed()
        return socket

    async def respond(self, request: web.Request) -> web.Response:
        fields = await request.json()
        if self.workspace.rejected_blocks & {block["type"] for block in fields.get("blocks", [])}:
            return web.Response(status=400, text="invalid_blocks")
        used = self.workspace.respond(request.match_info["name"], fields)
        return web.Response(text="ok") if used else web.Response(status=404, text="used_url")

    async def upload(self, request: web.Request) -> web.Response:
        if self.refused_uploads:
            return web.Response(status=400)
        self.workspace.files[request.match_info["file"]] = (await request.read()).decode()
        return web.Response(text="OK")

    async def state(self, request: web.Request) -> web.Response:
        """The whole state, as soon as it is newer than the version in the request."""
        await self.journal.after(int(request.query.get("after", -1)))
        return web.json_response(
            {
                "version": self.journal.version,
                "journal": self.journal.entries,
                "calls": self.workspace.calls,
                "streams": self.workspace.streams.open(),
                "sockets": len(self.events.sockets),
                "tickets": self.tickets,
                "sendings": {name: asdict(sending) for name, sending in self.events.sendings.items()},
            }
        )

    async def control(self, request: web.Request) -> web.Response:
        verb: Callable[..., Awaitable[Any]] = getattr(self, f"do_{request.match_info['verb']}")
        return web.json_response(await verb(**await request.json()))

    async def do_reset(self) -> None:
        await self.do_drop(how="close")
        self.events.insist(0.0)
        self.begin()

    async def do_change(self, **message: Any) -> dict[str, Any]:  # noqa: ANN401
        return self.workspace.change(**message)

    async def do_say(self, **message: Any) -> dict[str, Any]:  # noqa: ANN401
        return self.workspace.say(**message)

    async def do_event(self, event: dict[str, Any]) -> None:
        self.events.emit(event)

    async def do_remove(self, channel: str, ts: str) -> None:
        del self.workspace.messages[channel, ts]
        self.journal.write("deleted", channel=channel, ts=ts)

    async def do_click(self, channel: str, ts: str, user: str, action: str, value: str) -> None:
        stamp = self.clock.stamp()
        message = self.workspace.messages[channel, ts]
        body = {"type": "block_actions", "user": {"id": user, "team_id": TEAM}, "channel": {"id": channel}}
        body |= {"team": {"id": TEAM}, "message": message, "trigger_id": f"tr.{stamp}"}
        self.events.gesture(
            "interactive", body | {"actions": [{"action_id": action, "value": value, "action_ts": stamp}]}
        )

    async def do_press(self, channel: str, ts: str, user: str, action: str, value: str) -> None:
        """Press a button of a message that only one user sees. The payload has its container, and not the message."""
        stamp = self.clock.stamp()
        container = {"type": "message", "message_ts": ts, "channel_id": channel, "is_ephemeral": True}
        body = {"type": "block_actions", "user": {"id": user, "team_id": TEAM}, "channel": {"id": channel}}
        action_taken = {"action_id": action, "value": value, "action_ts": stamp}
        self.events.gesture("interactive", body | {"container": container, "actions": [action_taken]})

    async def do_command(self, channel: str, user: str, command: str, text: str) -> str:
        name = f"r{self.clock.stamp()}"
        self.workspace.responses[name] = self.clock.now + RESPONSE_SECONDS, 0 if self.spent_responses else RESPONSES
        body = {"command": command, "text": text, "user_id": user, "channel_id": channel, "team_id": TEAM}
        body |= {"trigger_id": f"tr.{name}", "response_url": f"http://127.0.0.1:{self.port}/respond/{name}"}
        self.events.gesture("slash_commands", body)
        return name

    async def do_payload(self, kind: str, body: dict[str, Any]) -> None:
        self.events.gesture(kind, body)

    async def do_forge(self, url: str, text: str) -> int:
        """Send an event with a wrong signature."""
        raw = json.dumps({"type": "event_callback", "event_id": "Ev0", "event": {"text": text}}).encode()
        async with ClientSession() as session:
            response = await session.post(url, data=raw, headers=signed(raw, int(self.clock.now), "a guess"))
            return response.status

    async def do_fault(self, **fault: Any) -> None:  # noqa: ANN401
        self.faults.planned.append(Fault(**fault))

    async def do_mend(self) -> None:
        """Remove all faults."""
        self.faults.planned.clear()

    async def do_rules(
        self,
        *,
        limited: bool = False,
        http: str = "",
        rejected_blocks: tuple[str, ...] = (),
        muted: tuple[str, ...] = (),
        refused_sockets: int = 0,
        spent_responses: bool = False,
        revoked: tuple[str, ...] = (),
    ) -> None:
        """Set the fake's behaviour; what is left out is reset."""
        self.faults.limited, self.events.http = limited, http
        self.workspace.rejected_blocks, self.events.muted = set(rejected_blocks), set(muted)
        self.refused_sockets, self.spent_responses = refused_sockets, spent_responses
        self.tokens |= dict.fromkeys(revoked, "revoked")

    async def do_forbid(
        self, *, outsiders: tuple[str, ...] = (), unreachable: tuple[str, ...] = (), uploads: bool = False
    ) -> None:
        """Forbid ephemeral messages to users outside a channel, direct messages to users, and uploads."""
        self.workspace.outsiders, self.workspace.unreachable = set(outsiders), set(unreachable)
        self.refused_uploads = uploads

    async def do_locales(self, **locales: str) -> None:
        """Give the app the scope users:read, and users their languages."""
        self.workspace.locales = locales

    async def do_name(self, host: str) -> None:
        """Name the host of sockets, as an app behind a proxy must reach it."""
        self.host = host

    async def do_insist(self, seconds: float) -> None:
        self.events.insist(seconds)

    async def do_shorten(self, longest: int, error: str) -> None:
        """Set an undocumented limit for the text in a message's blocks, and the error beyond it."""
        self.workspace.longest, self.workspace.too_long = longest, error

    async def do_advance(self, seconds: float) -> None:
        self.clock.now += seconds
        self.events.advance()

    async def do_drop(self, how: str) -> None:
        """End the sockets: "refresh" asks the app to reconnect, "close" closes them, "cut" aborts the connections."""
        for socket in list(self.events.sockets):
            if how == "refresh":
                with suppress(ConnectionError):  # the app has gone
                    await socket.send_json({"type": "disconnect", "reason": "refresh_requested"})
                continue
            self.events.sockets.remove(socket)
            if how == "cut" and (transport := socket._req.transport if socket._req else None):
                transport.abort()
            elif how == "close":
                await socket.close()


async def _params(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        return dict(await request.json())
    return dict(request.query) | dict(await request.post())


def _failed(request: web.Request, fault: Fault) -> web.StreamResponse:
    match fault.kind:
        case "ratelimited":
            body = {"ok": False, "error": "ratelimited"}
            return web.json_response(body, status=429, headers={"Retry-After": str(fault.retry_after)})
        case "unavailable":
            return web.Response(status=503, text="<html>Service Unavailable</html>", content_type="text/html")
        case "error":
            return web.json_response({"ok": False, "error": fault.error})
        case _:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
