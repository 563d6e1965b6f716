"""Return freed memory to the system after work that allocates much and keeps little."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
"""Options of mallopt(3)."""
SMALL, LARGE = 1 << 18, 32 << 20
"""Values of M_MMAP_THRESHOLD, in bytes: larger allocations are mapped one by one and unmapped when freed. glibc raises
its own threshold up to `LARGE`, and keeps twice as much free memory at the end of the heap.
"""


@contextmanager
def return_freed_memory() -> Iterator[None]:
    """Map allocations one by one within the context, and trim the heap at its end; glibc would keep gigabytes.

    Threads started later share one heap: an arena of their own would keep their peak usage. With another C library than
    glibc this has no effect.
    """
    library = ctypes.CDLL(None)
    mallopt = getattr(library, "mallopt", lambda _, __: 0)
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_MMAP_THRESHOLD, SMALL)
    try:
        yield
    finally:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGE)
        getattr(library, "malloc_trim", lambda _: 0)(0)
