"""How weights are held."""

from enum import StrEnum
from typing import Any, Final

import numpy as np
from ml_dtypes import bfloat16


class Precision(StrEnum):
    """`auto` is int8 where the lean decoder runs; else a bf16 checkpoint stays as it is where the CPU can, and
    everything else is fp32.
    """

    AUTO = "auto"
    INT8 = "int8"
    FP32 = "fp32"
    BF16 = "bf16"


INT8: Final[np.dtype[Any]] = np.dtype(np.int8)
FP32: Final[np.dtype[Any]] = np.dtype(np.float32)
BF16: Final[np.dtype[Any]] = np.dtype(bfloat16)
DTYPES: Final = {Precision.AUTO: INT8, Precision.INT8: INT8, Precision.FP32: FP32, Precision.BF16: BF16}
"""What the lean decoder makes of each."""
