"""Memory that is freed returns to the system."""

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from core.heap import return_freed_memory

IS_GLIBC = hasattr(ctypes.CDLL(None), "mallopt")
STATM = Path("/proc/self/statm")
PIECE, COUNT = 300_000, 300
LOGITS = 8 * 151_936 * 4
BUFFER, BUFFERS, PINNED = 200_000, 200, 2_000
ON_A_THREAD = """
import ctypes, threading
from core.heap import share_one_heap
share_one_heap()
thread = threading.Thread(target=bytes, args=(10_000,))
thread.start()
thread.join()
library = ctypes.CDLL(None)
library.fopen.restype = ctypes.c_void_p
library.malloc_info(0, ctypes.c_void_p(library.fopen(b"/dev/stdout", b"w")))
library.fflush(None)
"""

BUFFERS_TWICE = f"""
from core.heap import share_one_heap
from tests.core.test_heap import resident
share_one_heap()
for _ in range(2):
    before = resident()
    buffers = [(b"x" * {BUFFER}, b"x" * {PINNED}) for _ in range({BUFFERS})]
    kept, full = [small for _, small in buffers], resident()
    del buffers
print(before, full, resident())
"""

ONE_STAYS = f"""
from core.heap import return_freed_memory
from tests.core.test_heap import resident
with return_freed_memory():
    pieces = [b"x" * {PIECE} for _ in range({COUNT})]
    last, full = pieces[-1], resident()
    del pieces
print(full, resident())
"""


def run(code: str) -> str:
    """What a fresh process prints, whose heap holds nothing from before."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def resident() -> int:
    """Resident bytes of this process."""
    return int(STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_freed_memory_returns_to_the_system() -> None:
    """Freed memory is returned even if an allocation above it stays; a heap can only shrink from its end."""
    full, after = map(int, run(ONE_STAYS).split())
    assert full - after > PIECE * COUNT * 0.9


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_freed_buffers_leave_no_holes() -> None:
    """Freed buffers are returned, although such buffers were freed before and small objects stay among them."""
    before, full, after = map(int, run(BUFFERS_TWICE).split())
    assert full - before > BUFFER * BUFFERS * 0.9
    assert full - after > BUFFER * BUFFERS * 0.9


@pytest.mark.skipif(not IS_GLIBC, reason="not glibc")
def test_a_thread_has_no_heap_of_its_own() -> None:
    """A thread that is started later allocates from the heap of the process."""
    assert run(ON_A_THREAD).count("<heap ") == 1


@pytest.mark.skipif(not IS_GLIBC, reason="not glibc")
def test_memory_of_the_logits_is_reused() -> None:
    """The logits of eight rows get the same pages in each step: new pages would take a sixth of the step's time."""
    with return_freed_memory():
        pass
    faults = [page_faults(LOGITS) for _ in range(5)]
    assert max(faults[1:]) < LOGITS / os.sysconf("SC_PAGE_SIZE") / 10


def page_faults(size: int) -> int:
    """Fill and free `size` bytes; the number of page faults."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    filled = bytearray(b"x") * size
    del filled
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
