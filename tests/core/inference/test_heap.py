"""What loading a model leaves behind."""

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
    """Bytes of this process in memory."""
    return int(STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_what_is_freed_goes_back_to_the_system() -> None:
    """Even where something above it stays: a heap only shrinks from its end."""
    with return_freed_memory():
        pieces = [b"x" * PIECE for _ in range(COUNT)]
        last, before = pieces[-1], resident()
        del pieces
    assert before - resident() > PIECE * COUNT * 0.9
    assert last


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="another C library does as it likes")
def test_what_each_step_takes_and_frees_is_kept() -> None:
    """The logits of eight rows get the same pages again: new ones would take the system a sixth of the step."""
    with return_freed_memory():
        pass
    faults = [take(LOGITS) for _ in range(5)]
    assert max(faults[1:]) < LOGITS / os.sysconf("SC_PAGE_SIZE") / 10


def take(size: int) -> int:
    """Fills so many bytes and frees them; how many pages the system had to find for that."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    taken = bytearray(b"x") * size
    del taken
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before
