"""Which turn a gateway claims next. The statements are built once: a gateway asks at each message and at each poll.

Their parameters are the `owner` that claims, the time `now` in UTC epoch seconds, the `fronts` that it serves, and the
`state` of the turns that it looks for.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from core.messages import Source
from core.store.portable import Greatest
from core.store.schema import people, turns
from core.store.states import ANSWERED, DELIVERED, IS_OPEN, RUNNING, WAITING

AHEAD = 15.0
"""Seconds by which another gateway's time may be ahead of one's own: clocks differ a little, and a transaction may have
waited for a lock since its `now`.
"""
UNCLAIMED: Mapping[str, Any] = {"of": turns, "skip_locked": True, "key_share": True}
"""Of the lock on a turn that is to be claimed: one that another gateway is claiming is passed over."""
OWNER = sa.bindparam("owner", type_=sa.Text)
NOW = sa.bindparam("now", type_=sa.Float)
STATE = sa.bindparam("state", type_=sa.Text)
IS_SERVED = turns.c.front.in_(sa.bindparam("fronts", expanding=True))


def _open_turns() -> sa.Select[int, int, int]:
    """What decides about the order of open turns. Their content, which may be damaged, is read one by one."""
    joined = turns.join(people, people.c.id == turns.c.person_id)
    query = sa.select(turns.c.id, turns.c.person_id, turns.c.attempts).select_from(joined)
    return query.where(IS_OPEN, IS_SERVED)


def _is_unleased(state: str) -> sa.ColumnElement[bool]:
    """Without an owner. `lease_until` is then the time before which the turn must not be retried."""
    is_over = sa.or_(turns.c.lease_until <= NOW, turns.c.leased_at > NOW + AHEAD)
    return sa.and_(turns.c.state == state, turns.c.owner == "", is_over)


def _is_expired(state: str) -> sa.ColumnElement[bool]:
    """Leased to another owner that did not renew the lease."""
    is_over = sa.or_(turns.c.lease_until < NOW, turns.c.leased_at > NOW + AHEAD)
    return sa.and_(turns.c.state == state, is_over, turns.c.owner != "", turns.c.owner != OWNER)


def _follows_an_open_turn() -> sa.ColumnElement[bool]:
    """After an open turn of the same conversation, or beside a running one, if it is answered anew. Notices (refusals)
    are no part of it and do not block.
    """
    other = turns.alias()
    return sa.exists().where(
        other.c.state != sa.literal_column(f"'{DELIVERED}'"),  # as in IS_OPEN
        other.c.conversation == turns.c.conversation,
        other.c.id != turns.c.id,
        sa.or_(other.c.state == RUNNING, sa.and_(other.c.id < turns.c.id, other.c.state.in_([WAITING, ANSWERED]))),
        sa.or_(other.c.source.is_(None), other.c.source != Source.REFUSAL),
        sa.not_(other.c.at_desk),
    )


def _follows_in_its_handoff() -> sa.ColumnElement[bool]:
    """After another turn of the same hand-off that is still to be shown in the same place."""
    other = turns.alias()
    earlier = sa.exists().where(
        other.c.handoff_id == turns.c.handoff_id,
        other.c.id < turns.c.id,
        other.c.at_desk == turns.c.at_desk,
        other.c.state.in_([ANSWERED, RUNNING]),
    )
    return sa.and_(turns.c.handoff_id.is_not(None), earlier)


def _next_waiting() -> sa.Select[int, int, int]:
    """The turn to answer next: people are served in round robin, and what a crash interrupted goes first."""
    is_due = sa.or_(turns.c.not_before <= NOW, turns.c.accepted_at > NOW + AHEAD)
    is_claimable = sa.or_(sa.and_(_is_unleased(WAITING), is_due), _is_expired(RUNNING))
    order = (turns.c.attempts == 0, people.c.served, turns.c.id)
    query = _open_turns().where(is_claimable, ~_follows_an_open_turn()).order_by(*order).limit(1)
    return query.with_for_update(**UNCLAIMED)


def _next_answered() -> sa.Select[int, int, int]:
    """The turn to deliver next: the oldest one. What is passed on in a hand-off keeps its order."""
    is_claimable = sa.or_(_is_unleased(ANSWERED), _is_expired(ANSWERED))
    query = _open_turns().where(is_claimable, ~_follows_in_its_handoff()).order_by(turns.c.id).limit(1)
    return query.with_for_update(**UNCLAIMED)


def _running() -> sa.Select[int, int]:
    """The number of turns that the owner runs, and the highest attempt among them."""
    most = sa.func.coalesce(sa.func.max(turns.c.attempts), 0)
    return sa.select(sa.func.count(), most).where(IS_OPEN, turns.c.owner == OWNER, turns.c.state == RUNNING)


def _next_due() -> sa.Select[float | None]:
    """When the next of the turns in a state that must wait until a time can be claimed; NULL if there is none."""
    due = Greatest(turns.c.lease_until, turns.c.not_before)
    of_state = sa.and_(IS_OPEN, IS_SERVED, turns.c.state == STATE)
    return sa.select(sa.func.min(due)).where(of_state, turns.c.owner == "", due > NOW)


def _has_unclaimed() -> sa.Select[bool]:
    """Whether there is a turn that no gateway has claimed. One is enough: it need not count them all."""
    is_unclaimed = sa.and_(turns.c.state.in_([WAITING, ANSWERED]), turns.c.owner == "")
    return sa.select(sa.exists().where(IS_OPEN, IS_SERVED, is_unclaimed))


NEXT_WAITING, NEXT_ANSWERED, RUNNING_NOW = _next_waiting(), _next_answered(), _running()
NEXT_DUE, HAS_UNCLAIMED = _next_due(), _has_unclaimed()
