"""A limit of the memory for request bodies, in total and per client."""

from collections import Counter

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.serving.limits import HttpLimits, client_at

UNKNOWN = ""
"""The client at a Unix socket."""


class HeldBodies:
    """Answers 503 to a request whose body would exceed the memory for bodies.

    A signature can be checked only once its body has arrived whole, so anybody can make the server hold bytes. They
    count until the request is answered.
    """

    def __init__(self, app: ASGIApp, limits: HttpLimits) -> None:
        self._app = app
        self._limits = limits
        self._held: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = client_at(scope["client"][0]) if scope.get("client") else UNKNOWN
        held = 0

        async def counted() -> Message:
            nonlocal held
            message = await receive()
            held += self._hold(client, len(message.get("body", b"")))
            return message

        try:
            await self._app(scope, counted, send)
        finally:
            self._release(client, held)

    def _hold(self, client: str, size: int) -> int:
        """Count bytes of a client. Raises HTTPException, whose status Starlette answers, if they are too many."""
        is_within = self._held.total() + size <= self._limits.held_bytes
        if not is_within or (client and self._held[client] + size > self._limits.held_bytes_per_address):
            raise HTTPException(503, headers={"Retry-After": "10", "Connection": "close"})
        self._held[client] += size
        return size

    def _release(self, client: str, size: int) -> None:
        self._held[client] -= size
        if not self._held[client]:
            del self._held[client]
