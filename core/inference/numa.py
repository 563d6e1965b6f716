"""The processors of this machine, in groups that share their memory. Linux only: read from /sys."""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

DEVICES = Path("/sys/devices/system")


def cpu_groups(workers: int, cpus: frozenset[int], devices: Path = DEVICES) -> Sequence[Sequence[int]]:
    """The CPUs for each of several processes: one group for each NUMA node if there are as many, else equal parts.

    Parts are cut in the order of nodes and cores, so that the threads of one core stay together. 0 workers stand for
    one for each node. Raises ValueError if there are fewer CPUs than workers.
    """
    nodes = [node for listed in _nodes(devices) if (node := sorted(cpus & listed))] or [sorted(cpus)]
    if workers in (0, len(nodes)):
        return nodes
    if workers > len(cpus):
        raise ValueError(f"there are {len(cpus)} CPUs only")
    in_order = [cpu for node in nodes for cpu in sorted(node, key=lambda cpu: (_core_of(cpu, devices), cpu))]
    bounds = [number * len(in_order) // workers for number in range(workers + 1)]
    return [in_order[begin:end] for begin, end in pairwise(bounds)]


def own_cpus() -> frozenset[int]:
    """The CPUs that this process may use. Raises ValueError on a system that has no affinity."""
    if not hasattr(os, "sched_getaffinity"):
        raise ValueError("needs Linux")
    return frozenset(os.sched_getaffinity(0))


def parse_cpus(text: str) -> frozenset[int]:
    """The CPUs in Linux's notation, such as "0-3,8". Raises ValueError."""
    spans = (part.partition("-") for part in text.strip().split(",") if part)
    return frozenset(cpu for first, _, last in spans for cpu in range(int(first), int(last or first) + 1))


def _nodes(devices: Path) -> Sequence[frozenset[int]]:
    """The CPUs of each node, by its number; none if the system does not tell."""
    folders = sorted(devices.glob("node/node[0-9]*"), key=lambda folder: int(folder.name.removeprefix("node")))
    return [parse_cpus((folder / "cpulist").read_text("ascii")) for folder in folders]


def _core_of(cpu: int, devices: Path) -> int:
    """The lowest CPU of the same core."""
    try:
        return min(parse_cpus((devices / f"cpu/cpu{cpu}/topology/thread_siblings_list").read_text("ascii")))
    except (OSError, ValueError):
        return cpu
