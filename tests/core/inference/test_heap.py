"""Memory after work that allocates much and keeps little."""

import ctypes
import os
import resource
from pathlib import Path

import pytest

from core.inference.heap import return_freed_memory

STATM = Path("/proc/self/statm")
PIECE, COUNT = 300_000, 300
LOGITS = 8 * 151_936 * 4


def resident() -> int:
    """Resident bytes of this process."""
    return int(STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_freed_memory_returns_to_the_system() -> None:
    """Freed memory is returned even if an allocation above it stays; a heap can only shrink from its end."""
    with return_freed_memory():
        pieces = [b"x" * PIECE for _ in range(COUNT)]
        last, before = pieces[-1], resident()
        del pieces
    assert before - resident() > PIECE * COUNT * 0.9
    assert last


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
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
