"""Data types of the weights, and of the KV cache."""

from enum import StrEnum
from typing import Any, Final

import numpy as np
from ml_dtypes import bfloat16, int4


class Precision(StrEnum):
    """The configured type. `auto` is int4 or int8 for the lean decoder, see choice.py.

    The transformers network has no integers: there `auto`, `int8` and `int4` keep a bf16 checkpoint if bf16 is fast on
    this CPU, and are fp32 otherwise.
    """

    AUTO = "auto"
    INT8 = "int8"
    INT4 = "int4"
    FP32 = "fp32"
    BF16 = "bf16"


class KvPrecision(StrEnum):
    """The configured type of the lean decoder's keys and values; `auto` is int8. They are fp32 if the weights are.

    The transformers network has a cache of its own, and ignores it.
    """

    AUTO = "auto"
    FP16 = "fp16"
    INT8 = "int8"


INT4: Final[np.dtype[Any]] = np.dtype(int4)
INT8: Final[np.dtype[Any]] = np.dtype(np.int8)
FP32: Final[np.dtype[Any]] = np.dtype(np.float32)
BF16: Final[np.dtype[Any]] = np.dtype(bfloat16)
FP16: Final[np.dtype[Any]] = np.dtype(np.float16)
DECODER_DTYPES: Final = {
    Precision.INT8: INT8,
    Precision.INT4: INT4,
    Precision.FP32: FP32,
    Precision.BF16: BF16,
}
"""Weight type of the lean decoder for each precision but `auto`."""


def kv_dtype(weights: np.dtype[Any], precision: KvPrecision) -> np.dtype[Any]:
    """Type of the keys and values beside weights of a type."""
    if weights == FP32:
        return FP32
    return FP16 if precision is KvPrecision.FP16 else INT8
