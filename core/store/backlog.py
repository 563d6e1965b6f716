"""The backlog of open turns, and the wait that it means for a new one."""

from collections import Counter
from dataclasses import dataclass

import sqlalchemy as sa

from core.messages import Source
from core.store.portable import Least, Unindexed
from core.store.schema import people, turns
from core.store.states import ANSWERED, IS_OPEN, RUNNING, WAITING

RECENT = 20
"""How many of the last turns the mean duration is computed from."""
DEFAULT_SECONDS = 5.0
"""Assumed duration of a turn before any was measured."""
LONGEST = 300.0
"""Seconds that one turn counts at most: what takes longer was held up by something else."""
MOST_SHOWN = 100
"""Open turns that an operator is shown."""


def _unanswered() -> sa.Select[int, str]:
    """The senders of the turns without an answer, and the programs that write for them."""
    query = sa.select(turns.c.person_id, people.c.program).join(people, people.c.id == turns.c.person_id)
    return query.where(IS_OPEN, turns.c.state.in_([WAITING, RUNNING]))


def _turn_seconds() -> sa.Select[float | None]:
    """The mean duration of the last turns whose duration was measured; NULL if there are none."""
    is_measured = sa.text(f"source = '{Source.MODEL}' AND seconds >= 0")  # like the index `turns_measured`
    recent = (
        sa.select(Least(turns.c.seconds, LONGEST).label("seconds"))
        .where(is_measured)
        .order_by(turns.c.id.desc())
        .limit(RECENT)
        .subquery()
    )
    return sa.select(sa.func.avg(recent.c.seconds))


UNANSWERED, TURN_SECONDS = _unanswered(), _turn_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """The unanswered turns: the person's `own`, those of each other person, and the mean duration of a turn.

    `of_program` is how many are of people for whom the person's program writes, their own included.
    """

    own: int
    others: tuple[int, ...]
    of_program: int
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


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTurn:
    """A turn that waits, runs, or has an answer that is to be shown. `tokens` are those of its answer, None if there is
    none yet; `accepted_at` is in UTC epoch seconds, and `since` when its state began.
    """

    id: int
    platform: str
    state: str
    accepted_at: float
    since: float
    attempts: int
    tokens: int | None


def under_way(connection: sa.Connection, limit: int = MOST_SHOWN) -> tuple[OpenTurn, ...]:
    """The open turns of all front ends, oldest first, without what is said in them."""
    columns = (turns.c.front, turns.c.state, turns.c.accepted_at, turns.c.claimed_at, turns.c.finished_at)
    query = sa.select(turns.c.id, *columns, turns.c.attempts, turns.c.completion_tokens)
    is_alive = sa.and_(IS_OPEN, turns.c.state.in_([WAITING, RUNNING, ANSWERED]))
    return tuple(
        OpenTurn(
            id=row.id,
            platform=row.front.partition("/")[0],
            state=row.state,
            accepted_at=row.accepted_at,
            since={RUNNING: row.claimed_at, ANSWERED: row.finished_at}.get(row.state) or row.accepted_at,
            attempts=row.attempts,
            tokens=row.completion_tokens,
        )
        for row in connection.execute(query.where(is_alive).order_by(Unindexed(turns.c.id)).limit(limit))
    )


def measure(connection: sa.Connection, person_id: int, program: str = "") -> Backlog:
    """The backlog as it is for one person, for whom a `program` writes, or none."""
    found = connection.execute(UNANSWERED).all()
    counts = Counter(row.person_id for row in found)
    return Backlog(
        own=counts.pop(person_id, 0),
        others=tuple(counts.values()),
        of_program=sum(row.program == program for row in found) if program else 0,
        turn_seconds=connection.scalar(TURN_SECONDS) or DEFAULT_SECONDS,
    )
