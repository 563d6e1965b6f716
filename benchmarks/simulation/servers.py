"""Model servers, each of which decodes a batch step by step, and the choice among them."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import simpy

from benchmarks.simulation.batch import Batch, Row
from benchmarks.simulation.machines import Interpreter, Machine
from benchmarks.simulation.places import Process
from benchmarks.simulation.world import World
from core.engine.rendezvous import affinity


@dataclass(slots=True, kw_only=True, eq=False)
class Call(Row):
    """A row whose tokens are sent to a gateway: `pieces` gets the number of those that are sent together."""

    pieces: simpy.Store = field(repr=False)
    unsent: int = 0
    is_begun: bool = False


class ModelServer:
    """One model server. `busy` counts the seconds of its steps, and `read` the tokens of prompts, of which so many were
    `cached`.
    """

    def __init__(self, environment: simpy.Environment, machine: Machine, world: World) -> None:
        self._environment = environment
        self._process = Interpreter(environment, machine)
        self._costs = world.costs
        self._together = world.pieces_together
        self._batch = Batch(world.speed)
        self._wake = environment.event()
        self._kept: OrderedDict[int, int] = OrderedDict()
        self._room = world.speed.cache
        self.busy = 0.0
        self.read = 0
        self.cached = 0
        environment.process(self._work())

    def hear(self) -> Process:
        """Read a request, which costs half of a message: there are two, one for its mood."""
        yield from self._process.work(self._costs.server_message / 2)

    def ask(self, person: int, prompt: int, history: int, tokens: int) -> Call:
        """Begin to write so many tokens. The history is read again unless the cache has it."""
        cached = self._cached(person, history, prompt + tokens) if history else 0
        self.read, self.cached = self.read + history + prompt, self.cached + cached
        call = Call(to_read=prompt + history - cached, to_write=tokens, pieces=simpy.Store(self._environment))
        self._batch.add(call)
        if not self._wake.triggered:
            self._wake.succeed()
        return call

    def _cached(self, person: int, history: int, more: int) -> int:
        """How much of a history is in the cache, which keeps all of the prompt and of the reply from now on."""
        found = self._kept.pop(person, 0)
        self._kept[person] = history + more
        self._room += found - history - more
        while self._room < 0:
            self._room += self._kept.popitem(last=False)[1]
        return min(found, history)

    def _work(self) -> Process:
        while True:
            if not self._batch:
                self._wake = self._environment.event()
                yield self._wake
            seconds, writing = self._batch.begin()
            self.busy += seconds
            if seconds:
                yield self._environment.timeout(seconds)
            self._batch.end(writing)
            for call in writing:
                assert isinstance(call, Call)
                self._send_enough(call)

    def _send_enough(self, call: Call) -> None:
        """Send what is written if it is the first token, the last one, or enough to be sent together."""
        call.unsent += 1
        if not call.is_begun or not call.to_write or call.unsent == self._together:
            self._environment.process(self._send(call, call.unsent))
            call.is_begun, call.unsent = True, 0

    def _send(self, call: Call, count: int) -> Process:
        yield from self._process.work(count * self._costs.server_piece)
        yield call.pieces.put(count)


class Servers:
    """One gateway's view of all servers, as in `core/engine/several.py`: it counts its own calls only."""

    def __init__(self, servers: Sequence[ModelServer], slots: int) -> None:
        self._servers = servers
        self._calls = [0] * len(servers)
        self._latest = [0] * len(servers)
        self._share = math.ceil(slots / len(servers))

    def for_reply(self, person: int) -> int:
        """The person's own server, or the next one that is not full."""
        order = _closest_first(len(self._servers), person)
        return min(order, key=lambda number: self._calls[number] >= self._share)

    def for_label(self) -> int:
        """The server with the fewest calls, which has rested longest."""
        return min(range(len(self._servers)), key=lambda number: (self._calls[number], self._latest[number]))

    def begin(self, number: int) -> ModelServer:
        self._calls[number] += 1
        self._latest[number] = max(self._latest) + 1
        return self._servers[number]

    def end(self, number: int) -> None:
        self._calls[number] -= 1


@cache
def _closest_first(servers: int, person: int) -> Sequence[int]:
    return sorted(range(servers), key=lambda number: -affinity(f"{number}", 1.0, f"{person}"))
