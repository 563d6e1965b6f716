"""How fast this machine reads memory: what bounds decoding, which reads every weight for every token.

A loop of C, for no operator of torch or numpy reads as fast as the memory gives.
"""

import ctypes
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.figures import Absent

SOURCE = Path(__file__).with_name("bandwidth.c")
SIZE = 1 << 30  # bytes; a server's last cache may hold a tenth of that
PASSES = 5
OPTIONS = ("-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")


def read_bandwidth(folder: Path, threads: int) -> float:
    """Bytes a second, the best of some passes: what disturbs only slows it down. `folder` keeps the compiled loop."""
    loop = ctypes.CDLL(str(_compiled(folder))).read_all
    loop.restype = ctypes.c_uint64
    words = np.ones(SIZE // 8, np.uint64)
    address, count = ctypes.c_void_p(words.ctypes.data), ctypes.c_size_t(len(words))
    return max(_pass(loop, address, count, threads) for _ in range(PASSES))


def _pass(loop: Callable[..., int], address: ctypes.c_void_p, count: ctypes.c_size_t, threads: int) -> float:
    begun = time.perf_counter()
    total = loop(address, count, threads)
    seconds = time.perf_counter() - begun
    assert total == count.value, "every word is a one"
    return SIZE / seconds


def _compiled(folder: Path) -> Path:
    if not (compiler := shutil.which("cc")):
        raise Absent("absent: a C compiler")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "bandwidth.so"
    subprocess.run([compiler, *OPTIONS, SOURCE, "-o", library], check=True)
    return library
