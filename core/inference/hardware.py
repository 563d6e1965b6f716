"""What the machine offers: how many cores are ours, and whether bfloat16 suits it."""

import os
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")


def cores(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """The cores this process may use. A container's share counts: more threads than that only wait for each other."""
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = cgroup_limit.read_text("ascii").split()
    except (OSError, ValueError):
        return ours
    return ours if quota == "max" else max(1, min(ours, int(quota) // int(period)))


def runs_bf16(cpu_info: Path = CPU_INFO) -> bool:
    """Whether bfloat16 weights are worth keeping: with AVX2 or better on x86, with BF16 instructions on Arm.

    Half the bytes to read make decoding about twice as fast as fp32 in half the memory, on every x86 that was tried;
    reading a prompt is faster with AVX512-BF16, the same with plain AVX512 and slower with only AVX2.
    """
    return bool(cpu_flags(cpu_info) & {"avx2", "bf16"})


def cpu_flags(cpu_info: Path = CPU_INFO) -> frozenset[str]:
    """What the processor says it can do, in Linux's words; nothing where that cannot be read."""
    try:
        return frozenset(cpu_info.read_text("utf-8").split())
    except OSError:
        return frozenset()
