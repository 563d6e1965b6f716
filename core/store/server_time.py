"""The time of a database server, by which gateways on several machines agree on when a lease ends."""

from collections.abc import Callable

import sqlalchemy as sa

from core.clock import ShiftedClock
from core.store.database import Store
from core.store.portable import POSTGRESQL

UNNOTICED = 0.1
"""Seconds by which a clock may be off: it takes some of them to ask the server."""


async def adjust(store: Store, clock: ShiftedClock) -> bool:
    """Have a clock show the server's time. False if there is no server. Raises StoreError."""
    offset = await store.read(ahead, clock.clock.now)
    if offset is not None and abs(offset - clock.offset) > UNNOTICED:
        clock.offset = offset
    return offset is not None


def ahead(connection: sa.Connection, now: Callable[[], float]) -> float | None:
    """Seconds by which the server's clock is ahead of another one; None if there is no server."""
    if connection.dialect.name != POSTGRESQL:
        return None
    before = now()
    at_the_server = connection.execute(sa.text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    return float(at_the_server) - (before + now()) / 2
