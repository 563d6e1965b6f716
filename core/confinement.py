"""Limits on what the process itself may use, set for good, before it works on what strangers have made."""

import os
import resource


def confine(*, niceness: int, cpu_seconds: int, memory_bytes: int, stack_bytes: int) -> None:
    """Lower the limits of this process, which dumps no core and writes no file. A limit that is lower already stays.

    SIGXCPU ends it after `cpu_seconds`; beyond `memory_bytes` of address space an allocation raises MemoryError.
    """
    os.nice(niceness)
    for kind, limit in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_STACK, stack_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, most = resource.getrlimit(kind)
        lower = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (lower, lower))
