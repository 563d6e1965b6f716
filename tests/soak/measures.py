"""What a process takes, over time: memory, open files and threads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression
from typing import Self

HOUR = 3600.0
KIB, MIB = 1 << 10, 1 << 20
MAX_GROWTH = 1.0 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The resident memory in bytes, the open files and the threads of a process `at` a monotonic time in seconds."""

    at: float
    memory: int
    files: int
    threads: int

    @classmethod
    def of(cls, pid: int, at: float) -> Self | None:
        """The process now; None if it has ended."""
        try:
            status = (Path("/proc") / str(pid) / "status").read_text()
            files = len(list((Path("/proc") / str(pid) / "fd").iterdir()))
        except OSError:
            return None
        told = dict(line.split(":", 1) for line in status.splitlines())
        if "VmRSS" not in told:  # it has ended, and nobody has waited for it
            return None
        memory = int(told["VmRSS"].split()[0]) * KIB
        return cls(at=at, memory=memory, files=files, threads=int(told["Threads"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How much each figure of a process grows in an hour: bytes of memory, files and threads."""

    memory: float
    files: float
    threads: float

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Self:
        """The slopes of least-squares lines through the samples, of which there must be two."""
        times = [one.at for one in samples]
        figures = {name: [getattr(one, name) for one in samples] for name in ("memory", "files", "threads")}
        return cls(**{name: HOUR * linear_regression(times, values).slope for name, values in figures.items()})

    @property
    def is_flat(self) -> bool:
        return self.memory < MAX_GROWTH and self.files < 1 and self.threads < 1


def model_child(pid: int) -> int | None:
    """The process id of a gateway's model server."""
    try:
        children = (Path("/proc") / str(pid) / "task" / str(pid) / "children").read_text().split()
        for child in children:
            if b"core.inference" in (Path("/proc") / child / "cmdline").read_bytes():
                return int(child)
    except OSError:
        pass
    return None
