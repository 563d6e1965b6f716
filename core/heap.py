"""The C library's heap: what a process has freed is returned to the system. With another C library than glibc nothing
here has an effect.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
"""Options of mallopt(3)."""
FIRST, SMALL, LARGE = 1 << 17, 1 << 18, 32 << 20
"""Values of M_MMAP_THRESHOLD, in bytes: larger allocations are mapped one by one and unmapped when freed. glibc begins
with `FIRST`, raises its own threshold up to `LARGE`, and keeps twice as much free memory at the end of the heap.
"""


def share_one_heap() -> None:
    """Let the threads that are started later share one heap, and keep glibc's thresholds as they are at the start.

    A process that allocates buffers of all sizes for weeks would otherwise place large ones between small ones that
    stay: what is freed fits nothing and is not returned.
    """
    mallopt = _mallopt()
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_MMAP_THRESHOLD, FIRST)
    mallopt(M_TRIM_THRESHOLD, FIRST)


@contextmanager
def return_freed_memory() -> Iterator[None]:
    """Map allocations one by one within the context, and trim the heap at its end; glibc would keep gigabytes.

    Threads started later share one heap: an arena of their own would keep their peak usage.
    """
    mallopt = _mallopt()
    mallopt(M_ARENA_MAX, 1)
    mallopt(M_MMAP_THRESHOLD, SMALL)
    try:
        yield
    finally:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, 2 * LARGE)
        getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)(0)


def _mallopt() -> Callable[[int, int], int]:
    return getattr(ctypes.CDLL(None), "mallopt", lambda _, __: 0)
