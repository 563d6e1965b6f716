"""Duties, each of which one gateway at a time has, under a lease that it renews. Each public function is one verb."""

import sqlalchemy as sa

from core.store.claimable import AHEAD
from core.store.portable import insert_new
from core.store.schema import duties
from core.store.turns import Lease


def take(connection: sa.Connection, name: str, lease: Lease) -> bool:
    """Take a duty if nobody has it, or renew the lease of one's own. Returns False if another gateway has the duty.

    A duty that was leased in the future, by more than `AHEAD`, is free: the clock was set back since, so that its end
    means nothing any more.
    """
    values = {"owner": lease.owner, "lease_until": lease.until, "leased_at": lease.now}
    is_over = sa.or_(duties.c.lease_until <= lease.now, duties.c.leased_at > lease.now + AHEAD)
    is_mine = sa.or_(duties.c.owner == lease.owner, is_over)
    taken = duties.update().where(duties.c.name == name, is_mine).values(values)
    if connection.execute(taken).rowcount:
        return True
    return connection.execute(insert_new(connection, duties).values(name=name, **values)).rowcount == 1


def release(connection: sa.Connection, name: str, owner: str) -> None:
    """Let another gateway have a duty at once, if it is the owner's."""
    connection.execute(duties.delete().where(duties.c.name == name, duties.c.owner == owner))
