"""A gateway: it takes messages in, claims turns as `core/worker.py` does, and has them answered."""

from collections.abc import Callable, Generator, Sequence
from typing import Any, Final, TypeAlias

import simpy

from benchmarks.simulation import database as verbs
from benchmarks.simulation.database import Database, Pool, Turn
from benchmarks.simulation.machines import Interpreter, Machine
from benchmarks.simulation.places import Places, Process
from benchmarks.simulation.servers import ModelServer, Servers
from benchmarks.simulation.world import World
from core.worker import DELIVERIES

POLL: Final = 1.0
"""Seconds between two looks for turns if nothing is heard of any."""
CALL_EVERY: Final = 0.1
"""Seconds between two calls to other gateways, at least."""
Claim: TypeAlias = Callable[[], Generator[simpy.Event, Any, Turn | None]]


class Bell:
    """Rings until it is cleared."""

    def __init__(self, environment: simpy.Environment) -> None:
        self._environment = environment
        self._rung = environment.event()

    def ring(self) -> None:
        if not self._rung.triggered:
            self._rung.succeed()

    def clear(self) -> None:
        if self._rung.triggered:
            self._rung = self._environment.event()

    def wait(self, seconds: float) -> simpy.Event:
        """The event that it rings, or that so many seconds are over."""
        return self._rung | self._environment.timeout(seconds)


class Gateway:
    """One `parley run`. `everyone` are all gateways, this one included; `client` is who writes to them."""

    def __init__(
        self,
        world: World,
        machine: Machine,
        database: Database,
        servers: Sequence[ModelServer],
        client: Interpreter,
        everyone: Sequence["Gateway"],
    ) -> None:
        self._environment = environment = database.environment
        self._world = world
        self._costs = world.costs
        self.process = Interpreter(environment, machine)
        self._store = Pool(database, self.process)
        self._database = database
        self._servers = Servers(servers, world.slots)
        self._client = client
        self._everyone = everyone
        self._claiming = Places(environment, 1)
        self._free = Places(environment, world.slots)
        self._crowded = Bell(environment)
        self._bells = (Bell(environment), Bell(environment))
        self._accepted = 0
        deliveries = Places(environment, DELIVERIES)
        environment.process(self._pump(self._store.claim, self._bells[0], self._free))
        environment.process(self._pump(self._store.deliver, self._bells[1], deliveries))
        environment.process(self._call_others())

    def accept(self, turn: Turn) -> Process:
        """Take a message in; it is acknowledged in the end."""
        yield from self.process.work(self._costs.gateway_message / 2)
        keys = self._database.keys
        if keys:
            yield from self._store.run(verbs.FIND_KEY)
        yield from self._store.run(verbs.ACCEPT, [keys[turn.person % len(keys)]] if keys else [])
        self._accepted += 1
        if not self._accepted % self._world.alone_every:
            yield from self._store.run_alone(verbs.ALONE, self._world.alone)
        self._database.add(turn)
        self.ring()
        if self._free.are_taken:
            self._crowded.ring()
        self._environment.process(self._store.run(verbs.TRANSCRIPT))

    def ring(self) -> None:
        """There may be turns to claim."""
        for bell in self._bells:
            bell.ring()

    def look(self, turn: Turn, *, is_done: bool) -> Process:
        """Look at a turn that another gateway has claimed, or answered, for the person who looks on here."""
        yield from self._store.run(verbs.LOOK)
        if is_done:
            yield from self._end(turn)

    def _pump(self, claim: Claim, bell: Bell, slots: Places) -> Process:
        while True:
            yield from slots.take()
            bell.clear()
            yield from self._claiming.take()
            turn = yield from claim()
            self._claiming.give()
            if turn:
                self._environment.process(self._serve(turn, slots))
            else:
                slots.give()
                yield from self._store.run(verbs.NEXT_DUE)
                yield bell.wait(POLL)

    def _call_others(self) -> Process:
        while True:
            yield self._crowded.wait(POLL)
            self._crowded.clear()
            yield from self._store.run(verbs.CALL)
            for other in self._everyone:
                other.ring()
            yield self._environment.timeout(CALL_EVERY)

    def _serve(self, turn: Turn, slots: Places) -> Process:
        home = self._everyone[turn.gateway]
        is_mine = home is self
        if not is_mine:
            self._environment.process(home.look(turn, is_done=False))
        yield from self._store.run(verbs.PREFERENCES)
        yield from self._store.run(verbs.HISTORY)
        yield from self.process.work(self._costs.gateway_message / 2)
        people = self._world.people
        if people.moods:
            yield from self._ask(self._servers.for_label(), turn, 0, 1, is_shown=False)
        yield from self._ask(self._servers.for_reply(turn.person), turn, people.history, turn.reply, is_shown=is_mine)
        yield from self._store.run(verbs.FINISH)
        if not is_mine:
            self._environment.process(home.look(turn, is_done=True))
        yield from self._store.run(verbs.CHANGED)
        if is_mine:
            self._environment.process(self._end(turn))
        yield from self._store.run(verbs.DELIVERED)
        yield from self._store.run(verbs.HAS_UNCLAIMED)
        if self._database.waiting:
            self.ring()
        slots.give()

    def _ask(self, number: int, turn: Turn, history: int, tokens: int, *, is_shown: bool) -> Process:
        """Have a server write so many tokens."""
        server = self._servers.begin(number)
        yield from server.hear()
        call = server.ask(turn.person, self._world.people.question, history, tokens)
        while tokens:
            count = yield call.pieces.get()
            tokens -= count
            yield from self.process.work(count * self._costs.gateway_piece)
            if is_shown:
                self._environment.process(self._tell(turn, count))
        self._servers.end(number)

    def _tell(self, turn: Turn, count: int) -> Process:
        """The person gets some pieces of an answer."""
        yield from self._client.work(count * self._costs.client_piece)
        if not turn.first.triggered:
            turn.first.succeed()

    def _end(self, turn: Turn) -> Process:
        """The person gets the whole answer."""
        yield from self._tell(turn, 1)
        turn.done.succeed()
