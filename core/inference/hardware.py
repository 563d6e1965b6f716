"""The machine: usable cores and memory, and CPU features."""

import os
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


def cores(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """Cores that this process may use, at least 1: its CPU affinity, limited by the container's CPU quota."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cgroup_limit.read_text("ascii").split()
    except (OSError, ValueError):
        return available
    return available if quota == "max" else max(1, min(available, int(quota) // int(period)))


def memory_bytes(cgroup_limit: Path = MEMORY_LIMIT) -> int:
    """Memory that this process may use: the machine's, limited by the container's."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(installed, int(cgroup_limit.read_text("ascii")))
    except (OSError, ValueError):  # "max", or not Linux
        return installed


def has_fast_bf16(cpu_info: Path = CPU_INFO) -> bool:
    """Whether bfloat16 weights are faster than float32: AVX2 or better on x86, BF16 instructions on Arm.

    Half the bytes per token make decode about twice as fast on every x86 CPU tried. Prefill is faster with AVX512-BF16,
    equal with plain AVX512 and slower with AVX2 alone.
    """
    return bool(cpu_flags(cpu_info) & {"avx2", "bf16"})


def cpu_flags(cpu_info: Path = CPU_INFO) -> frozenset[str]:
    """CPU feature flags by their names in Linux's /proc/cpuinfo; empty if it cannot be read."""
    try:
        return frozenset(cpu_info.read_text("utf-8").split())
    except OSError:
        return frozenset()
