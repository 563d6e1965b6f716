"""What the benchmark ran on, and what its processes held of the memory. Linux: it is all read from /proc."""

import os
import platform
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

PROC = Path("/proc")
KIB_PER_MIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a process held, in MiB: the most it ever had resident, and its share now, in which a page that several
    processes map counts as a fraction for each.
    """

    peak: float
    share: float

    def __add__(self, other: Self) -> "Memory":
        return Memory(peak=self.peak + other.peak, share=self.share + other.share)


def memory_of(pid: int) -> Memory:
    """The memory of one running process."""
    return Memory(
        peak=_kib(PROC / str(pid) / "status", "VmHWM") / KIB_PER_MIB,
        share=_kib(PROC / str(pid) / "smaps_rollup", "Pss") / KIB_PER_MIB,
    )


def children_of(pid: int) -> Iterator[int]:
    """The processes that a process has started and that run now."""
    for listed in (PROC / str(pid) / "task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            yield from map(int, listed.read_text("ascii").split())


def describe_machine() -> str:
    """One line: the CPU and its cores, the memory, and the versions that matter."""
    total = _kib(PROC / "meminfo", "MemTotal") / KIB_PER_MIB / 1024
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers"))
    return (
        f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores, {total:.0f} GiB of memory, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {versions}"
    )


def _cpu_model() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", (PROC / "cpuinfo").read_text("utf-8"), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _kib(path: Path, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", path.read_text("utf-8"), re.MULTILINE)
    assert found, f"{path} always has {name}"
    return int(found[1])
