import os
import subprocess
import sys

import pytest

from benchmarks.machine import PROC, Memory, children_of, describe_machine, memory_of

pytestmark = pytest.mark.skipif(not PROC.exists(), reason="memory is read from /proc")


def test_peak_memory_holds_what_was_freed() -> None:
    """A process that had 64 MiB for a moment shows them in its peak, and no longer in its share."""
    program = "a = bytearray(b'x') * (64 << 20); del a; print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        held = memory_of(process.pid)
        process.kill()
    assert held.peak > 64 > held.share > 0


def test_finds_running_children() -> None:
    """A child is among its parent's children while it runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid in children_of(os.getpid())
        process.kill()
    assert process.pid not in children_of(os.getpid())


def test_memory_adds_up() -> None:
    """The memory of two processes is the sum of both, peak and share."""
    first, second = Memory(peak=3, share=1), Memory(peak=5, share=2)
    assert first + second == Memory(peak=8, share=3)


def test_names_what_it_ran_on() -> None:
    """The machine's line has its cores and the version of PyTorch."""
    line = describe_machine()
    assert f"{len(os.sched_getaffinity(0))} cores" in line
    assert "torch 2" in line
