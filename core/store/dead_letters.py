"""Turns that could be neither answered nor apologised for. They are kept until an operator has them tried again."""

import sqlalchemy as sa

from core.store.schema import turns
from core.store.turns import ANSWERED, DEAD, WAITING

IS_DEAD = turns.c.state == sa.literal_column(f"'{DEAD}'")
"""Spelled like the condition of the partial index `turns_dead`."""
ANEW = {"faults": 0, "attempts": 0}


def listed(connection: sa.Connection) -> tuple[int, ...]:
    """The ids of all dead letters, oldest first."""
    return tuple(connection.scalars(sa.select(turns.c.id).where(IS_DEAD).order_by(turns.c.id)))


def count(connection: sa.Connection) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(turns).where(IS_DEAD)) or 0


def retry(connection: sa.Connection, turn_id: int | None = None) -> int:
    """Open one dead letter again, or all: those with a reply to be delivered, the others to be answered.

    Returns their number.
    """
    dead = turns.update().where(IS_DEAD)
    if turn_id is not None:
        dead = dead.where(turns.c.id == turn_id)
    opened = connection.execute(dead.where(turns.c.reply.is_not(None)).values(state=ANSWERED, **ANEW)).rowcount
    return opened + connection.execute(dead.values(state=WAITING, **ANEW)).rowcount
