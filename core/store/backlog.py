"""The backlog of open turns, and the wait that it means for a new one."""

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from core.messages import Source
from core.store.portable import Least
from core.store.schema import turns
from core.store.turns import ANSWERED, IS_OPEN, RUNNING, WAITING

RECENT = 20
"""How many of the last turns the mean duration is computed from."""
DEFAULT_SECONDS = 5.0
"""Assumed duration of a turn before any was measured."""
LONGEST = 300.0
"""Seconds that one turn counts at most: what takes longer was held up by something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The unanswered turns: the person's `own`, those of each other person, and the mean duration of a turn."""

    own: int
    others: tuple[int, ...]
    turn_seconds: float

    def predicted_wait(self, slots: int) -> float:
        """Seconds until a new turn of this person starts, if `slots` turns run at once in round robin over people."""
        ahead = self.own + sum(min(count, self.own + 1) for count in self.others)
        return max(0, ahead - slots + 1) * self.turn_seconds / slots


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The numbers of turns that wait for an answer, get one, and have one to be shown. `since` is when the oldest of
    those that wait was accepted, in UTC epoch seconds; None if none waits.
    """

    waiting: int
    running: int
    answered: int
    since: float | None


def queue(connection: sa.Connection) -> Queue:
    """The turns of all front ends as they are."""
    query = sa.select(turns.c.state, sa.func.count(), sa.func.min(turns.c.accepted_at))
    found = {
        state: (count, since) for state, count, since in connection.execute(query.where(IS_OPEN).group_by("state"))
    }
    (waiting, since), (running, _), (answered, _) = (found.get(key, (0, None)) for key in (WAITING, RUNNING, ANSWERED))
    return Queue(waiting=waiting, running=running, answered=answered, since=since)


def measure(connection: sa.Connection, person_id: int) -> Backlog:
    """The backlog as it is for one person."""
    unanswered = turns.c.state.in_([WAITING, RUNNING])
    counts = Counter(connection.scalars(sa.select(turns.c.person_id).where(IS_OPEN, unanswered)))
    own = counts.pop(person_id, 0)
    return Backlog(own=own, others=tuple(counts.values()), turn_seconds=_turn_seconds(connection))


def _turn_seconds(connection: sa.Connection) -> float:
    """The mean duration of the last turns whose duration was measured."""
    is_measured = sa.text(f"source = '{Source.MODEL}' AND seconds >= 0")  # like the index `turns_measured`
    recent = (
        sa.select(Least(turns.c.seconds, LONGEST).label("seconds"))
        .where(is_measured)
        .order_by(turns.c.id.desc())
        .limit(RECENT)
        .subquery()
    )
    return connection.execute(sa.select(sa.func.avg(recent.c.seconds))).scalar() or DEFAULT_SECONDS
