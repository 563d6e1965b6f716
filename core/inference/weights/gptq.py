"""int4 by GPTQ (arXiv:2210.17323): columns are rounded in turn, and the columns that follow make up for the error.

What counts is the error of the matrix's output, for the inputs that were observed. Its correlations between columns are
kept within blocks of columns: the cost grows with the square of a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.inference.arrays import GROUP, Floats, Groups
from core.inference.native.library import Pool, Rounding
from core.inference.weights.groups import group_count

MAX_BLOCK: Final = 1024
"""Columns in a block at most: MAX_BLOCK_COLUMNS in native/gptq.h."""
DAMPING: Final = 0.1
"""Added to the mean square of each column, as a part of the average one: texts differ from those that were observed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Second moments of a matrix's inputs, for each block of columns: float32 [block, block]."""

    blocks: Sequence[Floats]

    def add(self, inputs: Floats) -> None:
        """Count inputs, [tokens, columns]. Each token counts by its direction: some are a thousand times as long as
        others, and what follows normalises them.
        """
        lengths = np.sqrt(np.square(inputs).mean(1, keepdims=True))
        unit = np.divide(inputs, lengths, out=np.zeros_like(inputs), where=lengths > 0)
        begin = 0
        for block in self.blocks:
            columns = unit[:, begin : begin + len(block)]
            block += columns.T @ columns  # noqa: PLW2901  in place
            begin += len(block)


def no_moments(columns: int) -> Moments:
    """The moments of no inputs."""
    padded = group_count(columns)
    sizes = [GROUP * len(groups) for groups in np.array_split(np.arange(padded), -(-padded * GROUP // MAX_BLOCK))]
    sizes[-1] -= padded * GROUP - columns
    return Moments(blocks=[np.zeros((size, size), np.float32) for size in sizes])


class Gptq:
    """Rounds the rows of one matrix to int4, for inputs with these moments."""

    def __init__(self, moments: Moments, pool: Pool) -> None:
        self._factors = [_factor(block) for block in moments.blocks]
        self._sizes = np.array([len(factor) for factor in self._factors], np.int32)
        self._pool = pool

    def quantise(self, weight: Floats) -> Groups:
        """Quantise rows of the matrix, [rows, columns]. Rows do not depend on each other."""
        rows, columns = weight.shape
        groups = group_count(columns)
        found = Groups(numbers=np.zeros((rows, groups, GROUP), np.int8), scales=np.empty((rows, groups), np.float16))
        weight, factors = np.ascontiguousarray(weight), np.array([factor.ctypes.data for factor in self._factors])
        rounding = Rounding(
            weight=weight.ctypes.data,
            sizes=self._sizes.ctypes.data,
            factors=factors.ctypes.data,
            numbers=found.numbers.ctypes.data,
            scales=found.scales.ctypes.data,
            rows=rows,
            columns=columns,
            blocks=len(factors),
        )
        self._pool.kernels.round_rows(self._pool.address, rounding)
        return found


def _factor(moments: Floats) -> Floats:
    """The upper Cholesky factor of the inverse of a block's damped moments, with which errors are passed on.

    It is the inverse of the upper R of R R' = moments, which is a Cholesky factor of the columns in reverse order.
    """
    damped = moments.copy()
    damped.flat[:: len(damped) + 1] += DAMPING * (damped.trace() / len(damped) or 1)
    upper = np.linalg.cholesky(damped[::-1, ::-1])[::-1, ::-1]
    return np.ascontiguousarray(np.triu(np.linalg.inv(upper)))
