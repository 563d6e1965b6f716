"""Scopes of the prefix cache of which words were deleted, until every gateway's model server has dropped its blocks.

Each gateway notes how far it has told its server. A process that is killed before it could tell tells it after the next
start, like all that are kept: a server may be told several times. What all gateways have told is deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from core.scopes import scope
from core.store.alone import alone
from core.store.notices import Notice, Topic, send
from core.store.portable import Greatest
from core.store.schema import gateways, people, stale_scopes, turns

ALIVE = 20.0
"""Seconds after which a gateway that has not been seen has ended, and its model server with it."""
RETURNS = 86_400.0
"""Seconds for which a model server is thought of that may outlive its gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Whether a gateway has yet to tell its model server, and whether all of the servers can forget."""

    is_awaited: bool
    can_forget: bool


def note(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    """Note the scopes of the turns that a condition chooses: their prompts hold words that are being deleted.

    A turn has two: whether the people of its conversation share a history is not known here. The notes get their
    numbers in the order of their commits, above those that a gateway has told.
    """
    joined = turns.join(people, people.c.id == turns.c.person_id)
    query = sa.select(turns.c.conversation, people.c.key).select_from(joined).where(which)
    found = {
        stale
        for row in connection.execute(query)
        for stale in (scope(row.conversation, row.key), scope(row.conversation))
    }
    if found:
        alone(connection)
        numbered = enumerate(sorted(found), 1 + _last(connection))
        connection.execute(stale_scopes.insert(), [{"id": number, "scope": stale} for number, stale in numbered])
        send(connection, Notice(topic=Topic.DELETED))


def see(connection: sa.Connection, owner: str, now: float) -> None:
    """Note that a gateway is alive."""
    if not connection.execute(_of(owner).values(seen_at=now)).rowcount:
        connection.execute(gateways.insert().values(owner=owner, seen_at=now, told=0, can_forget=True))


def pending(connection: sa.Connection, owner: str, limit: int) -> Mapping[int, str]:
    """Some of the scopes that a gateway has not told yet, by the number of their note."""
    query = sa.select(stale_scopes.c.id, stale_scopes.c.scope).where(stale_scopes.c.id > _told(owner))
    return {row.id: row.scope for row in connection.execute(query.order_by(stale_scopes.c.id).limit(limit))}


def note_told(connection: sa.Connection, owner: str, last: int, now: float, *, can_forget: bool) -> None:
    """Note that a gateway has told its model server up to the `last` note, and whether that could forget. Notes that
    all have told are deleted, and gateways that will not return.
    """
    see(connection, owner, now)
    connection.execute(_of(owner).values(told=Greatest(gateways.c.told, last), can_forget=can_forget))
    connection.execute(gateways.delete().where(gateways.c.seen_at < now - RETURNS))
    by_all = sa.select(sa.func.min(gateways.c.told)).scalar_subquery()
    connection.execute(stale_scopes.delete().where(stale_scopes.c.id <= by_all))


def told(connection: sa.Connection, owner: str, now: float) -> Told:
    """How far the gateways that are alive have told their model servers what this owner has."""
    alive = sa.or_(gateways.c.owner == owner, gateways.c.seen_at > now - ALIVE)
    is_late = gateways.c.told < _told(owner)
    rows = connection.execute(sa.select(gateways.c.can_forget, is_late.label("is_late")).where(alive)).all()
    return Told(is_awaited=any(row.is_late for row in rows), can_forget=all(row.can_forget for row in rows))


def leave(connection: sa.Connection, owner: str, now: float) -> None:
    """Note that a gateway ends. What it has not told is kept for its model server, which may go on without it."""
    owes = sa.exists().where(stale_scopes.c.id > _told(owner))
    connection.execute(gateways.delete().where(gateways.c.owner == owner, sa.not_(owes)))
    connection.execute(_of(owner).values(seen_at=now - ALIVE))


def _last(connection: sa.Connection) -> int:
    """The highest number of a note that was ever made and matters to a gateway."""
    highest = (sa.func.coalesce(sa.func.max(column), 0) for column in (stale_scopes.c.id, gateways.c.told))
    return max(int(connection.execute(sa.select(one)).scalar_one()) for one in highest)


def _of(owner: str) -> sa.Update:
    return gateways.update().where(gateways.c.owner == owner)


def _told(owner: str) -> sa.ColumnElement[int]:
    told = sa.select(gateways.c.told).where(gateways.c.owner == owner).scalar_subquery()
    return sa.func.coalesce(told, 0)
