"""Commands that ask first: the message of a turn that asked, and when it did."""

from dataclasses import dataclass

import sqlalchemy as sa

from core.messages import Message, Source
from core.store.schema import turns
from core.store.turns import message_of, with_senders


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The command that was not carried out yet, and the UTC epoch seconds at which its sender was asked about it."""

    message: Message
    at: float


def find(connection: sa.Connection, turn_id: int) -> Asked | None:
    """What a turn asked; None if there is no such turn any more, or it was not answered by a command."""
    query = with_senders().where(turns.c.id == turn_id, turns.c.source == Source.COMMAND)
    row = connection.execute(query).one_or_none()
    return Asked(message=message_of(row), at=row.finished_at) if row else None
