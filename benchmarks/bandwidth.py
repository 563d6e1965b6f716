"""Read bandwidth of this machine's memory. It bounds decoding, which reads every weight for each token.

The loop is in C because no operator of torch or numpy saturates the memory.
"""

import ctypes
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.figures import Unavailable

SOURCE = Path(__file__).with_name("bandwidth.c")
SIZE = 1 << 30  # bytes, about ten times the last-level cache of a server
PASSES = 5
OPTIONS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")


def read_bandwidth(folder: Path, threads: int) -> float:
    """Bytes per second, the best of `PASSES` because noise only slows a pass down. Keeps the compiled loop in `folder`.

    Raises Unavailable if there is no C compiler.
    """
    loop = ctypes.CDLL(str(_compiled(folder))).sum_words
    loop.restype = ctypes.c_uint64
    words = np.ones(SIZE // 8, np.uint64)
    address, count = ctypes.c_void_p(words.ctypes.data), ctypes.c_size_t(len(words))
    return max(_pass(loop, address, count, threads) for _ in range(PASSES))


def _pass(loop: Callable[..., int], address: ctypes.c_void_p, count: ctypes.c_size_t, threads: int) -> float:
    begun = time.perf_counter()
    total = loop(address, count, threads)
    seconds = time.perf_counter() - begun
    assert total == count.value, "the sum of as many ones"
    return SIZE / seconds


def _compiled(folder: Path) -> Path:
    if not (compiler := shutil.which("cc")):
        raise Unavailable("no C compiler")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "bandwidth.so"
    subprocess.run([compiler, *OPTIONS, SOURCE, "-o", library], check=True)
    return library
