"""Array types, and allocation aligned for the kernels."""

import math
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

CACHE_LINE: Final = 64
"""Bytes of a cache line and of the widest SIMD register; a load across two lines takes twice as long."""
Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.float32]
GROUP: Final = 32
"""Columns of a row of integers that share a scale, as in GGUF's Q8_0 and Q4_0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """A matrix of integers: weight = number * scale, plus the shift if there are shifts.

    `numbers` are int8 [rows, groups, 32], `scales` are fp16 [rows, groups], and `shifts` float32 [rows, groups].
    """

    numbers: NDArray[np.int8]
    scales: NDArray[np.float16]
    shifts: Floats | None = None


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """An uninitialised array, aligned to a cache line; numpy aligns to 16 bytes only."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffer = np.empty(size + CACHE_LINE, np.uint8)
    start = -buffer.ctypes.data % CACHE_LINE
    return buffer[start : start + size].view(dtype).reshape(shape)
