"""ctypes interface of the compiled decoder: the structures of types.h, field by field, and the exported functions."""

import ctypes
import platform
import weakref
from ctypes import POINTER, c_float, c_int, c_int32, c_size_t, c_void_p
from pathlib import Path
from typing import Final

from core.errors import NoKernels
from core.inference.hardware import CPU_INFO, cpu_flags
from core.inference.native.build import SOURCE, build, levels


class Linear(ctypes.Structure):
    _fields_ = (
        ("weight", c_void_p),
        ("bias", c_void_p),
        ("shifts", c_void_p),
        ("observed", c_void_p),
        ("rows", c_int32),
        ("columns", c_int32),
        ("dtype", c_int32),
    )


class Layer(ctypes.Structure):
    _fields_ = (
        ("qkv", Linear),
        ("out", Linear),
        ("gate_up", Linear),
        ("down", Linear),
        ("attention_norm", c_void_p),
        ("mlp_norm", c_void_p),
        ("query_norm", c_void_p),
        ("key_norm", c_void_p),
        ("slot_rotations", c_void_p),
        ("is_unrotated", c_int32),
    )


class Model(ctypes.Structure):
    _fields_ = (
        ("layers", POINTER(Layer)),
        ("final_norm", c_void_p),
        ("rope_frequencies", c_void_p),
        ("embedding", Linear),
        ("lm_head", Linear),
        ("preview", Linear),
        ("pool", c_void_p),
        ("kv_dtype", c_int32),
        ("layer_count", c_int32),
        ("hidden", c_int32),
        ("intermediate", c_int32),
        ("heads", c_int32),
        ("kv_heads", c_int32),
        ("head_dim", c_int32),
        ("epsilon", c_float),
    )


class Batch(ctypes.Structure):
    _fields_ = (
        ("ids", c_void_p),
        ("positions", c_void_p),
        ("sequences", c_void_p),
        ("block_tables", c_void_p),
        ("output_tokens", c_void_p),
        ("kv_cache", c_void_p),
        ("logits", c_void_p),
        ("scratch", c_void_p),
        ("tokens", c_int32),
        ("outputs", c_int32),
        ("block_table_stride", c_int32),
    )


class Rounding(ctypes.Structure):
    _fields_ = (
        ("weight", c_void_p),
        ("sizes", c_void_p),
        ("factors", c_void_p),
        ("numbers", c_void_p),
        ("scales", c_void_p),
        ("rows", c_int32),
        ("columns", c_int32),
        ("blocks", c_int32),
    )


MIRRORED: Final = (Linear, Layer, Model, Batch, Rounding)
"""In the order of STRUCT_SIZES in decoder.c."""


class Kernels:
    """Functions of a library compiled for `level`. ctypes releases the GIL during a call.

    Raises NoKernels if a structure of the library has another size than its mirror in this module.
    """

    def __init__(self, library: ctypes.CDLL, level: str) -> None:
        _check_sizes(library)
        self.level = level
        self.enable_instructions = library.enable_instructions
        self.enable_instructions.argtypes, self.enable_instructions.restype = (), c_int
        self.open_pool = library.open_pool
        self.open_pool.argtypes, self.open_pool.restype = (c_int,), c_void_p
        self.close_pool = library.close_pool
        self.close_pool.argtypes, self.close_pool.restype = (c_void_p,), None
        self.block_bytes = library.block_bytes
        self.block_bytes.argtypes, self.block_bytes.restype = (POINTER(Model),), c_size_t
        self.scratch_bytes = library.scratch_bytes
        self.scratch_bytes.argtypes, self.scratch_bytes.restype = (POINTER(Model), c_int), c_size_t
        self.forward = library.forward
        self.forward.argtypes, self.forward.restype = (POINTER(Model), POINTER(Batch)), None
        self.round_rows = library.round_rows
        self.round_rows.argtypes, self.round_rows.restype = (c_void_p, POINTER(Rounding)), None


class Pool:
    """Compute threads, the caller's included, that run `kernels`. They end with this object.

    Raises MemoryError if they cannot be started.
    """

    def __init__(self, kernels: Kernels, threads: int) -> None:
        pool = kernels.open_pool(threads)
        if pool is None:
            raise MemoryError("cannot start the compute threads")
        self.kernels, self.address = kernels, pool
        weakref.finalize(self, kernels.close_pool, pool)


def _check_sizes(library: ctypes.CDLL) -> None:
    compiled = (c_size_t * len(MIRRORED)).in_dll(library, "STRUCT_SIZES")
    for mirror, size in zip(MIRRORED, compiled, strict=True):
        if ctypes.sizeof(mirror) != size:
            sizes = f"{size} bytes in C, {ctypes.sizeof(mirror)} in Python"
            raise NoKernels(str(SOURCE), f"{mirror.__name__} differs: {sizes}")


def open_kernels(data_dir: Path, source: Path = SOURCE, cpu_info: Path = CPU_INFO) -> Kernels:
    """The best level that the processor can run, the operating system permits, and is prebuilt or can be compiled.

    Raises NoKernels if there is none, with the reason for the best level.
    """
    reasons = []
    for level in levels(cpu_flags(cpu_info), platform.machine()):
        try:
            kernels = Kernels(build(level, data_dir, source), level.name)
        except NoKernels as error:
            reasons.append(error.reason)
            continue
        if kernels.enable_instructions() == 0:
            return kernels
        reasons.append(f"the operating system does not permit {level.name}")
    raise NoKernels(str(source), reasons[0])
