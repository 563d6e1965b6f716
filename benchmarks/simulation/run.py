"""Runs a world for some time, and says what its people saw."""

import random
from dataclasses import dataclass, field

import simpy

from benchmarks.load import quantile
from benchmarks.simulation.database import Database, Turn
from benchmarks.simulation.gateways import Gateway
from benchmarks.simulation.machines import Interpreter, Machine
from benchmarks.simulation.places import Process
from benchmarks.simulation.servers import ModelServer
from benchmarks.simulation.world import NEVER, World


@dataclass(slots=True, kw_only=True)
class Seen:
    """Seconds from each message to its acknowledgement, to the first sight of its answer, and to the whole of it."""

    acknowledged: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What people saw, and answers and transactions per second. Shares of time, 0 to 1: of the cores of the database's
    machine, of the busiest gateway and of the busiest model server. `cached` is the share of the tokens of prompts that
    were in a prefix cache.
    """

    seen: Seen
    rate: float
    transactions: float
    database: float
    gateway: float
    server: float
    cached: float

    def whole(self, fraction: float) -> float:
        """Seconds to the whole answer that this fraction of the messages does not exceed; infinite without answers."""
        return quantile(self.seen.whole, fraction) if self.seen.whole else NEVER


def simulate(world: World, seconds: float, *, warm_up: float = 0.0, seed: int = 1) -> Result:
    """Let a fleet work for some seconds, after a warm-up that does not count."""
    fleet, seen, chance = _Fleet(world), Seen(), random.Random(seed)
    for number in range(world.people.number):
        fleet.environment.process(_person(number, fleet, seen, random.Random(chance.random())))
    if warm_up:
        fleet.environment.run(warm_up)
        fleet.reset()
        for times in (seen.acknowledged, seen.first, seen.whole):
            times.clear()
    fleet.environment.run(warm_up + seconds)
    return fleet.result(seen, seconds)


class _Fleet:
    """The parts of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.environment = simpy.Environment()
        shared = Machine(self.environment, world.cores) if world.cores else None
        self._database_machine = shared or Machine(self.environment, world.database_cores)
        self.database = Database(self.environment, self._database_machine, world)
        self.client = Interpreter(self.environment, shared or Machine(self.environment, 1))
        self._servers = [
            ModelServer(self.environment, shared or Machine(self.environment, 1), world) for _ in range(world.servers)
        ]
        self.gateways: list[Gateway] = []
        self.gateways += [
            Gateway(
                world,
                shared or Machine(self.environment, 1),
                self.database,
                self._servers,
                self.client,
                self.gateways,
            )
            for _ in range(world.gateways)
        ]

    def reset(self) -> None:
        """Begin to count anew."""
        self.database.transactions = 0
        self._database_machine.busy = 0.0
        for server in self._servers:
            server.busy, server.read, server.cached = 0.0, 0, 0
        for gateway in self.gateways:
            gateway.process.busy = 0.0

    def result(self, seen: Seen, seconds: float) -> Result:
        world, read = self.world, sum(server.read for server in self._servers)
        return Result(
            seen=seen,
            rate=len(seen.whole) / seconds,
            transactions=self.database.transactions / seconds,
            database=self._database_machine.busy / seconds / (world.cores or world.database_cores),
            gateway=max(gateway.process.busy for gateway in self.gateways) / seconds,
            server=max(server.busy for server in self._servers) / seconds,
            cached=sum(server.cached for server in self._servers) / max(1, read),
        )


def _person(number: int, fleet: _Fleet, seen: Seen, chance: random.Random) -> Process:
    """Write, read the answer, pause, and so on. A person always writes to the same gateway."""
    world, environment = fleet.world, fleet.environment
    served, gateway = 0, number % world.gateways
    while True:
        if world.people.pause:
            yield environment.timeout(chance.expovariate(1 / world.people.pause))
        turn = Turn(
            served=served,
            number=next(fleet.database.places),
            person=number,
            gateway=gateway,
            reply=chance.choice(world.people.replies),
            first=environment.event(),
            done=environment.event(),
        )
        asked = environment.now
        yield from fleet.client.work(world.costs.client_message)
        yield from fleet.gateways[gateway].accept(turn)
        seen.acknowledged.append(environment.now - asked)
        yield turn.first
        seen.first.append(environment.now - asked)
        yield turn.done
        seen.whole.append(environment.now - asked)
        served = turn.served
