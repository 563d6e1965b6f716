"""Processors, processes that have one interpreter lock each, and a disk that writes a log."""

import simpy

from benchmarks.simulation.places import Places, Process


class Machine:
    """Some cores, each of which works on one thing at a time, in the order of asking. `busy` counts their seconds."""

    def __init__(self, environment: simpy.Environment, cores: int) -> None:
        self._environment = environment
        self._cores = Places(environment, cores)
        self.busy = 0.0

    def work(self, seconds: float) -> Process:
        """Take so many seconds of a core."""
        if not seconds:
            return
        yield from self._cores.take()
        yield self._environment.timeout(seconds)
        self._cores.give()
        self.busy += seconds


class Interpreter:
    """A process of Python, whose threads compute one after the other. `busy` counts the seconds that they computed."""

    def __init__(self, environment: simpy.Environment, machine: Machine) -> None:
        self._machine = machine
        self._lock = Places(environment, 1)
        self.busy = 0.0

    def work(self, seconds: float) -> Process:
        """Compute for so many seconds, on a core of the machine."""
        if not seconds:
            return
        yield from self._lock.take()
        yield from self._machine.work(seconds)
        self._lock.give()
        self.busy += seconds


class Log:
    """A write-ahead log on a disk. Transactions that commit during a write are written together by the next one."""

    def __init__(self, environment: simpy.Environment, seconds: float) -> None:
        self._environment = environment
        self._seconds = seconds
        self._disk = Places(environment, 1)
        self._next: simpy.Event | None = None

    def commit(self) -> Process:
        """Wait until all that was logged so far is on the disk."""
        if not self._seconds:
            return
        if self._next is None:
            self._next = self._environment.event()
            self._environment.process(self._write(self._next))
        yield self._next

    def _write(self, written: simpy.Event) -> Process:
        yield from self._disk.take()
        self._next = None
        yield self._environment.timeout(self._seconds)
        self._disk.give()
        written.succeed()
