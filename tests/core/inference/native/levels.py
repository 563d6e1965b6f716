"""The levels that this processor can run, for tests at each of them."""

import platform
from pathlib import Path

import pytest

from core.inference.hardware import cpu_flags
from core.inference.native.build import PORTABLE, SOURCE, Level, build, levels
from core.inference.native.library import Kernels

LEVELS = (*levels(cpu_flags(), platform.machine()), PORTABLE)


def kernels_of(level: Level, folder: Path, source: Path = SOURCE) -> Kernels:
    """The kernels of a level, compiled into `folder`. Skips the test if the operating system does not permit them."""
    kernels = Kernels(build(level, folder, source), level.name)
    if kernels.enable_instructions():
        pytest.skip("the operating system does not permit AMX")
    return kernels
