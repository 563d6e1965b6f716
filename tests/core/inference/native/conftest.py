"""The decoder with the functions of once.c, compiled for every level that this processor can run."""

import ctypes
from ctypes import POINTER, c_int, c_void_p
from pathlib import Path

import pytest

from core.inference.native import library
from core.inference.native.build import Level, build
from tests.core.inference.native.levels import LEVELS, kernels_of

SOURCE = Path(__file__).with_name("once.c")


@pytest.fixture(params=LEVELS, ids=lambda level: level.name)
def compiled(request: pytest.FixtureRequest, tmp_path: Path) -> ctypes.CDLL:
    level: Level = request.param
    kernels_of(level, tmp_path, SOURCE)
    compiled = build(level, tmp_path, SOURCE)
    compiled.multiply_once.argtypes = (c_void_p, POINTER(library.Linear), c_void_p, c_void_p, c_int)
    compiled.multiply_once.restype = None
    compiled.cache_once.argtypes = (POINTER(library.Model), POINTER(library.Batch), c_void_p)
    compiled.cache_once.restype = None
    compiled.unpack_once.argtypes = (POINTER(library.Model), POINTER(library.Batch), c_int, c_void_p, c_void_p)
    compiled.unpack_once.restype = None
    return compiled
