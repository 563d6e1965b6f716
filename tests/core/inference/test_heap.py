"""What loading a model leaves behind."""

import os
from pathlib import Path

import pytest

from core.inference.heap import giving_back

STATM = Path("/proc/self/statm")
PIECE, COUNT = 300_000, 300


def resident() -> int:
    """Bytes of this process in memory."""
    return int(STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_what_is_freed_goes_back_to_the_system() -> None:
    """Even where something above it stays: a heap only shrinks from its end."""
    with giving_back():
        pieces = [b"x" * PIECE for _ in range(COUNT)]
        last, before = pieces[-1], resident()
        del pieces
    assert before - resident() > PIECE * COUNT * 0.9
    assert last
