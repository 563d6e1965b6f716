"""The open connections of an HTTP server: how many there may be, and which one makes room for a new one."""

import asyncio
from collections.abc import Collection
from typing import Protocol

import structlog

from core.clock import Clock
from core.serving.limits import HttpLimits

log = structlog.get_logger()

REPORT_SECONDS = 60.0
"""The log says at most this often that there are too many connections."""


class Connection(Protocol):
    """One client's connection."""

    transport: asyncio.Transport


class Connections:
    """Counts connections, in total and per client.

    A connection is waiting as long as its request has not arrived whole. If a limit is reached, the one that has waited
    longest makes room. A request that is being answered never does.
    """

    def __init__(self, limits: HttpLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._clients: dict[Connection, str | None] = {}
        self._waiting: dict[Connection, None] = {}
        self._turned_away = 0
        self._reported_at: float | None = None

    def admit(self, connection: Connection, client: str | None) -> bool:
        """Count a connection, unless there is no room for it. A client of None has no limit of its own."""
        if not self._has_room(client):
            self._report()
            return False
        self._clients[connection] = client
        return True

    def waits(self, connection: Connection) -> None:
        """Note that a connection waits for a request, or for the rest of one, from now on."""
        if connection in self._clients:
            self._waiting.pop(connection, None)
            self._waiting[connection] = None

    def is_whole(self, connection: Connection) -> None:
        """Note that a connection's request has arrived whole."""
        self._waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """Note that a connection is closed."""
        self._clients.pop(connection, None)
        self._waiting.pop(connection, None)

    def _has_room(self, client: str | None) -> bool:
        own = [other for other, of in self._clients.items() if of == client]
        if client is not None and len(own) >= self._limits.connections_per_address:
            return self._close_one(own)
        return len(self._clients) < self._limits.connections or self._close_one(self._clients)

    def _close_one(self, among: Collection[Connection]) -> bool:
        """Close the one of these that has waited longest; False if none waits."""
        longest = next((connection for connection in self._waiting if connection in among), None)
        if longest is None:
            return False
        self._report()
        self.leave(longest)
        longest.transport.abort()
        return True

    def _report(self) -> None:
        self._turned_away += 1
        now = self._clock.monotonic()
        if self._reported_at is None or now - self._reported_at >= REPORT_SECONDS:
            log.warning("too many connections", closed=self._turned_away, open=len(self._clients))
            self._turned_away, self._reported_at = 0, now
