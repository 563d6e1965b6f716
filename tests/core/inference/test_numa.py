"""CPUs are shared out among the servers of a machine."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from core.inference.numa import cpu_groups, own_cpus, parse_cpus


@pytest.fixture
def two_sockets(tmp_path: Path) -> Path:
    """A machine of two nodes with four cores each. Each core has two threads: CPU n and CPU n + 8."""
    return machine(tmp_path, {0: "0-3,8-11", 1: "4-7,12-15"})


def machine(folder: Path, nodes: Mapping[int, str]) -> Path:
    """The folder /sys/devices/system of a machine with these nodes."""
    for number, cpus in nodes.items():
        (folder / f"node/node{number}").mkdir(parents=True)
        (folder / f"node/node{number}/cpulist").write_text(f"{cpus}\n")
        for cpu in parse_cpus(cpus):
            (folder / f"cpu/cpu{cpu}/topology").mkdir(parents=True)
            (folder / f"cpu/cpu{cpu}/topology/thread_siblings_list").write_text(f"{cpu % 8},{cpu % 8 + 8}\n")
    return folder


@pytest.mark.parametrize("workers", [0, 2])
def test_one_worker_for_each_node(two_sockets: Path, workers: int) -> None:
    """The word "auto" stands for the number of nodes, and as many workers as nodes get one each."""
    groups = cpu_groups(workers, frozenset(range(16)), two_sockets)
    assert groups == [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]]


def test_the_threads_of_a_core_stay_together(two_sockets: Path) -> None:
    """More workers than nodes get equal parts, none of them on two nodes, and no core is shared."""
    groups = cpu_groups(4, frozenset(range(16)), two_sockets)
    assert groups == [[0, 8, 1, 9], [2, 10, 3, 11], [4, 12, 5, 13], [6, 14, 7, 15]]


def test_only_cpus_that_may_be_used_are_shared_out(two_sockets: Path) -> None:
    """A node of which this process may use nothing gets no worker."""
    assert cpu_groups(0, frozenset({4, 5, 12}), two_sockets) == [[4, 5, 12]]
    assert cpu_groups(3, frozenset({0, 4, 5, 12}), two_sockets) == [[0], [4], [12, 5]]


def test_more_workers_than_cpus_are_refused(two_sockets: Path) -> None:
    """A worker without a CPU would not run."""
    with pytest.raises(ValueError, match="2 CPUs"):
        cpu_groups(3, frozenset({0, 1}), two_sockets)


def test_nodes_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Node 10 comes after node 2; a node with memory alone has no worker."""
    folder = machine(tmp_path, {10: "3", 2: "2", 0: "1", 1: ""})
    assert cpu_groups(0, frozenset(range(8)), folder) == [[1], [2], [3]]


def test_a_system_that_tells_nothing_is_one_node(tmp_path: Path) -> None:
    """Without /sys all CPUs are one node, and each is a core."""
    assert cpu_groups(0, frozenset({0, 1}), tmp_path) == [[0, 1]]
    assert cpu_groups(2, frozenset({0, 1}), tmp_path) == [[0], [1]]


def test_this_machine_is_shared_out_whole() -> None:
    """The nodes of this machine have all CPUs that this process may use."""
    assert {cpu for group in cpu_groups(0, own_cpus()) for cpu in group} == own_cpus()


def test_a_pinned_command_runs_on_its_cpus() -> None:
    """The command replaces the process that pins it, and runs on the given CPU only."""
    cpu = max(own_cpus())
    shown = (sys.executable, "-c", "import os; print(os.getpid(), *os.sched_getaffinity(0))")
    command = (sys.executable, "-P", "-m", "core.inference.pinned", str(cpu), *shown)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate()[0].split() == [str(process.pid), str(cpu)]
