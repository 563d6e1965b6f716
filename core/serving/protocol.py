"""HTTP/1.1 of uvicorn, with time limits for slow clients and a limit of connections."""

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from core.serving.connections import Connections
from core.serving.limits import HttpLimits

TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
TOO_MANY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
UNANSWERED = (h11.IDLE, h11.SEND_RESPONSE)
"""The states in which no part of a response has been sent."""


class LimitedProtocol(H11Protocol):
    """One connection. By itself uvicorn limits only how long it may be idle after a response.

    `client_of` names the client at an address, None if its connections are not limited.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: HttpLimits,
        connections: Connections,
        client_of: Callable[[str], str | None],
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._open = connections
        self._client_of = client_of
        self._part: object = None  # of the request, as h11 names it
        self._timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if self._open.admit(self, self._client_of(self.client[0]) if self.client else None):
            self._watch()
        else:
            self._end_with(TOO_MANY)

    def data_received(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)
            self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._open.leave(self)
        for timer in (self._timer, self._write_timer):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(self._limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer:
            self._write_timer.cancel()

    def send_400_response(self, msg: str) -> None:
        """Close without an answer if one is being sent already; uvicorn would fail."""
        if self.conn.our_state in UNANSWERED:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _watch(self) -> None:
        """Start the time limit of the part of a request that is expected now, if it is another one than before."""
        part = h11.CLOSED if self.transport.is_closing() else self.conn.their_state
        if part is self._part:
            return
        self._part = part
        if part is h11.IDLE:
            self._expect(self._limits.header_seconds)
        elif part is h11.SEND_BODY:
            self._expect(self._limits.body_seconds)
        else:
            self._open.is_whole(self)
            self._set_timer(self._limits.write_seconds if part is h11.CLOSED else None, self.transport.abort)

    def _expect(self, seconds: float) -> None:
        self._open.waits(self)
        self._set_timer(seconds, self._too_slow)

    def _set_timer(self, seconds: float | None, action: Callable[[], None]) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, action)

    def _too_slow(self) -> None:
        has_begun = self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]
        self._end_with(TOO_SLOW if has_begun and self.conn.our_state in UNANSWERED else b"")

    def _end_with(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()
        self._watch()
