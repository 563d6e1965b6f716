"""Arrays that the kernels read and write."""

import math
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

LINE: Final = 64
"""Bytes of a cache line, and of the widest register: what lies across two of them takes twice as long."""
Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """An array with nothing in it yet, which begins with a cache line; numpy's own begin anywhere."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size].view(dtype).reshape(shape)
