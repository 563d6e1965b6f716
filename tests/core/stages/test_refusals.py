"""Errors become words, but for those that cannot be stored either."""

import pytest

from core.errors import ParleyError, StoreFailing, StoreLost
from core.messages import Reply, Turn
from core.stages.refusals import refusals
from tests.core.conftest import Write


async def reply_to(write: Write, error: ParleyError) -> Reply:
    async def rest(_turn: Turn) -> Reply:
        raise error

    async def sink(piece: str) -> None:
        raise AssertionError(piece)

    return await refusals(Turn(id=1, message=write("hello"), sink=sink), rest)


async def test_a_lost_server_is_waited_for(write: Write) -> None:
    """A turn that loses the database's server gets no apology: it is answered when the server is back."""
    with pytest.raises(StoreLost):
        await reply_to(write, StoreLost("57P01"))


async def test_a_failing_disk_is_apologised_for(write: Write) -> None:
    """It may fail at this turn's history alone, and for ever."""
    assert (await reply_to(write, StoreFailing("SQLITE_IOERR"))).error == "store"
