"""A connection to PostgreSQL that receives the notices of an installation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from core.store.notices import CHANNEL, Notice
from core.store.portable import POSTGRESQL
from core.store.postgresql import noticing
from core.store.translation import store_error


def can_listen(engine: sa.Engine) -> bool:
    return engine.dialect.name == POSTGRESQL


@asynccontextmanager
async def listening(engine: sa.Engine) -> AsyncIterator[AsyncIterator[Notice]]:
    """The notices from now on, until the context is left. Raises StoreError if the connection ends."""
    driver: Any = engine.dialect.dbapi
    (arguments, options) = engine.dialect.create_connect_args(engine.url)
    try:
        connecting = driver.AsyncConnection.connect(*arguments, **noticing(engine.url), **options, autocommit=True)
        async with await connecting as connection:
            named = await connection.execute(CHANNEL.text)
            (channel,) = await named.fetchone()
            await connection.execute(f"LISTEN {channel}")
            yield _received(connection)
    except driver.Error as error:
        raise store_error(error) from error


async def _received(connection: Any) -> AsyncIterator[Notice]:  # noqa: ANN401  the driver need not be installed
    async for received in connection.notifies():
        if notice := Notice.parse(received.payload):
            yield notice
