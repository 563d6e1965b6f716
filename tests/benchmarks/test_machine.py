import os
import subprocess
import sys
import time

import pytest

from benchmarks.machine import PROC, Memory, children_of, describe_machine, memory_of, processor_seconds

pytestmark = pytest.mark.skipif(not PROC.exists(), reason="memory is read from /proc")


def test_peak_memory_includes_freed_memory() -> None:
    """Memory that a process has freed, here 64 MiB, counts in its peak but not in its share."""
    program = "a = bytearray(b'x') * (64 << 20); del a; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        memory = memory_of(process.pid)
        process.kill()
    assert memory.peak > 64 > memory.share > 0


def test_finds_running_children() -> None:
    """A child process is listed while it runs, and not after it."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid in children_of(os.getpid())
        process.kill()
    assert process.pid not in children_of(os.getpid())


def test_processor_seconds_are_those_of_a_process() -> None:
    """What this process has computed so far is what it says itself, but for the last ticks."""
    assert processor_seconds(os.getpid()) == pytest.approx(time.process_time(), abs=0.1)


def test_memory_adds_up() -> None:
    """Adding the memory of two processes adds both peaks and both shares."""
    first, second = Memory(peak=3, share=1), Memory(peak=5, share=2)
    assert first + second == Memory(peak=8, share=3)


def test_describes_the_machine() -> None:
    """The description has the number of cores and the version of PyTorch."""
    line = describe_machine()
    assert f"{len(os.sched_getaffinity(0))} cores" in line
    assert "torch 2" in line
