"""What a process has freed and does not need again goes back to the system."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
SMALL, LARGE = 1 << 18, 32 << 20
"""mallopt(3): allocations above so many bytes are mapped one by one; glibc's own limit grows up to the larger, and then
it keeps twice as much at the end of the heap for what comes next.
"""


@contextmanager
def giving_back() -> Iterator[None]:
    """For work that takes much and leaves little: glibc would keep gigabytes of pieces for later, and none come.

    Threads that begin afterwards share one heap: one of its own keeps what its busiest moment took. Another C library
    does as it likes.
    """
    library = ctypes.CDLL(None)
    adjust = getattr(library, "mallopt", lambda _, __: 0)
    adjust(M_ARENA_MAX, 1)
    adjust(M_MMAP_THRESHOLD, SMALL)
    try:
        yield
    finally:
        adjust(M_MMAP_THRESHOLD, LARGE)
        adjust(M_TRIM_THRESHOLD, 2 * LARGE)
        getattr(library, "malloc_trim", lambda _: 0)(0)
