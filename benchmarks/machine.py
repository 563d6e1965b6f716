"""Description of the machine, and what processes take of it. Linux only: everything is read from /proc."""

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
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Memory of a process in MiB.

    `peak` is its largest resident set (VmHWM). `share` is its proportional set (PSS) now: a page that n processes map
    counts 1/n for each.
    """

    peak: float
    share: float

    def __add__(self, other: Self) -> "Memory":
        return Memory(peak=self.peak + other.peak, share=self.share + other.share)


def memory_of(pid: int) -> Memory:
    """Memory of a running process."""
    return Memory(
        peak=_kib(PROC / str(pid) / "status", "VmHWM") / KIB_PER_MIB,
        share=_kib(PROC / str(pid) / "smaps_rollup", "Pss") / KIB_PER_MIB,
    )


def processor_seconds(pid: int) -> float:
    """Seconds of the processor that a process has used, by itself and for the kernel."""
    *_, user, system = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[:13]
    return (int(user) + int(system)) / TICK


def children_of(pid: int) -> Iterator[int]:
    """Running child processes of a process."""
    for listed in (PROC / str(pid) / "task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread has just ended
            yield from map(int, listed.read_text("ascii").split())


def describe_machine() -> str:
    """One line with the CPU, cores, memory, operating system and versions of the main libraries."""
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
