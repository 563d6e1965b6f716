"""The compiled decoder's interface: decoder.c's structures and functions, as ctypes sees them."""

import ctypes
import platform
from ctypes import POINTER, c_float, c_int, c_int32, c_size_t, c_void_p
from pathlib import Path

from core.errors import NoKernels
from core.inference.hardware import cpu_flags
from core.inference.native.build import SOURCE, build, levels


class Linear(ctypes.Structure):
    _fields_ = (
        ("weight", c_void_p),
        ("scale", c_void_p),
        ("bias", c_void_p),
        ("rows", c_int32),
        ("columns", c_int32),
        ("limit", c_int32),
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
    )


class Model(ctypes.Structure):
    _fields_ = (
        ("layers", POINTER(Layer)),
        ("norm", c_void_p),
        ("frequencies", c_void_p),
        ("embedding", c_void_p),
        ("embedding_scale", c_void_p),
        ("head", Linear),
        ("pool", c_void_p),
        ("kind", c_int32),
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
        ("rows", c_void_p),
        ("blocks", c_void_p),
        ("wanted", c_void_p),
        ("cache", c_void_p),
        ("logits", c_void_p),
        ("scratch", c_void_p),
        ("tokens", c_int32),
        ("outputs", c_int32),
        ("block_stride", c_int32),
    )


class Kernels:
    """The functions of a library that was built for a `level`. Calling one lets other Python threads run."""

    def __init__(self, library: ctypes.CDLL, level: str) -> None:
        self.level = level
        self.prepare_processor = library.prepare_processor
        self.prepare_processor.argtypes, self.prepare_processor.restype = (), c_int
        self.open_pool = library.open_pool
        self.open_pool.argtypes, self.open_pool.restype = (c_int,), c_void_p
        self.close_pool = library.close_pool
        self.close_pool.argtypes, self.close_pool.restype = (c_void_p,), None
        self.scratch_bytes = library.scratch_bytes
        self.scratch_bytes.argtypes, self.scratch_bytes.restype = (POINTER(Model), c_int), c_size_t
        self.forward = library.forward
        self.forward.argtypes, self.forward.restype = (POINTER(Model), POINTER(Batch)), None
        self.multiply_once = library.multiply_once
        self.multiply_once.argtypes = (c_void_p, POINTER(Linear), c_void_p, c_void_p, c_void_p, c_int)
        self.multiply_once.restype = None


def open_kernels(data_dir: Path) -> Kernels:
    """The best that this machine can run and its system allows. NoKernels where there is no compiler."""
    for level in levels(cpu_flags(), platform.machine()):
        kernels = Kernels(build(level, data_dir), level.name)
        if kernels.prepare_processor() == 0:
            return kernels
    raise NoKernels(str(SOURCE), "the system lets us use none of them")
