"""The database: what each verb of a message costs, the locks that it waits for, and the turns that wait."""

import heapq
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import simpy

from benchmarks.simulation.machines import Interpreter, Log, Machine
from benchmarks.simulation.places import Places, Process
from benchmarks.simulation.world import World
from core.store.postgresql import THREADS

CROWD: Final = 1_000_000
"""Transactions that can hold the lock of the installation at once if none needs it for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A transaction of so many `trips`, its begin and its commit included. One that writes waits for the disk.

    One that `notifies` has a lock of the whole database while it commits, so that notices come in the order of commits.
    """

    trips: int
    writes: bool = False
    notifies: bool = False


FIND_KEY = Verb(trips=4)
ACCEPT = Verb(trips=16, writes=True)
TRANSCRIPT = Verb(trips=4)
CLAIM = Verb(trips=9, writes=True, notifies=True)
CLAIM_NOTHING = Verb(trips=5)
DELIVER_NOTHING = Verb(trips=4)
NEXT_DUE = Verb(trips=4)
HAS_UNCLAIMED = Verb(trips=4)
PREFERENCES = Verb(trips=4)
HISTORY = Verb(trips=4)
FINISH = Verb(trips=8, writes=True, notifies=True)
CHANGED = Verb(trips=4)
DELIVERED = Verb(trips=6, writes=True)
LOOK = Verb(trips=3)
CALL = Verb(trips=4, writes=True, notifies=True)
ALONE = Verb(trips=8, writes=True)


@dataclass(slots=True, kw_only=True, order=True)
class Turn:
    """A message on its way, in the order of claims: people take turns, and then the oldest message is first."""

    served: int
    number: int
    person: int = field(compare=False)
    gateway: int = field(compare=False)
    reply: int = field(compare=False)
    first: simpy.Event = field(compare=False)
    done: simpy.Event = field(compare=False)


class Database:
    """One server of PostgreSQL. `transactions` counts those that were committed."""

    def __init__(self, environment: simpy.Environment, machine: Machine, world: World) -> None:
        self.environment = environment
        self._world = world
        self._machine = machine
        self._log = Log(environment, world.costs.commit)
        self._lock = Places(environment, CROWD)
        self._notices = Places(environment, 1)
        self.keys = [Places(environment, 1) for _ in range(world.people.programs)]
        self.waiting: list[Turn] = []
        self.places = count(1)
        self.transactions = 0

    def add(self, turn: Turn) -> None:
        heapq.heappush(self.waiting, turn)

    def run(self, verb: Verb, process: Interpreter, rows: Sequence[Places] = ()) -> Process:
        """Run a transaction beside others, which locks some rows until its commit."""
        yield from self._lock.take()
        for row in rows:
            yield from row.take()
        yield from self._work(verb.trips, process)
        yield from self._commit(verb)
        for row in rows:
            row.give()
        self._lock.give()

    def run_alone(self, verb: Verb, process: Interpreter, seconds: float) -> Process:
        """Run a transaction for which all others wait; the server computes for some seconds more."""
        yield from self._lock.take(CROWD)
        yield from self._work(verb.trips, process)
        yield from self._machine.work(seconds)
        yield from self._commit(verb)
        self._lock.give(CROWD)

    def claim(self, process: Interpreter) -> Generator[simpy.Event, Any, Turn | None]:
        """Claim the next turn; None if there is none. Until it is found, another gateway may find it."""
        yield from self._lock.take()
        yield from self._work(CLAIM_NOTHING.trips, process)
        turn = self._next()
        if turn:
            yield from self._work(CLAIM.trips - CLAIM_NOTHING.trips, process)
        yield from self._commit(CLAIM if turn else CLAIM_NOTHING)
        self._lock.give()
        return turn

    def _next(self) -> Turn | None:
        """The next turn, which is the last one of its person from now on."""
        if not self.waiting:
            return None
        turn = heapq.heappop(self.waiting)
        turn.served = next(self.places)
        return turn

    def _work(self, trips: int, process: Interpreter) -> Process:
        costs = self._world.costs
        yield from process.work(trips * costs.gateway_trip)
        if costs.network:
            yield self.environment.timeout(trips * costs.network)
        yield from self._machine.work(trips * costs.database_trip)

    def _commit(self, verb: Verb) -> Process:
        self.transactions += 1
        if not verb.writes:
            return
        is_ordered = verb.notifies and self._world.notices
        if is_ordered:
            yield from self._notices.take()
        yield from self._log.commit()
        if is_ordered:
            self._notices.give()


class Pool:
    """The connections of one gateway: as many transactions at once, at most."""

    def __init__(self, database: Database, process: Interpreter) -> None:
        self._connections = Places(database.environment, THREADS)
        self._process = process
        self.database = database

    def run(self, verb: Verb, rows: Sequence[Places] = ()) -> Process:
        yield from self._connections.take()
        yield from self.database.run(verb, self._process, rows)
        self._connections.give()

    def run_alone(self, verb: Verb, seconds: float) -> Process:
        yield from self._connections.take()
        yield from self.database.run_alone(verb, self._process, seconds)
        self._connections.give()

    def claim(self) -> Generator[simpy.Event, Any, Turn | None]:
        yield from self._connections.take()
        turn = yield from self.database.claim(self._process)
        self._connections.give()
        return turn

    def deliver(self) -> Generator[simpy.Event, Any, Turn | None]:
        """Look for a reply that is to be delivered. There is none, since each is delivered by who has written it."""
        yield from self.run(DELIVER_NOTHING)
        return None
