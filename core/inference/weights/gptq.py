"""int4 by GPTQ (arXiv:2210.17323): columns are rounded in turn, and the columns that follow make up for the error.

What counts is the error of the matrix's output, for the inputs that were observed. Its correlations between columns are
kept within blocks of columns: the cost grows with the square of a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import GROUP, Floats, Groups
from core.inference.weights.quantise import HIGHEST, LOWEST, int4_scales

MAX_BLOCK: Final = 1024
"""Columns in a block at most."""
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
    padded = -(-columns // GROUP)
    sizes = [GROUP * len(groups) for groups in np.array_split(np.arange(padded), -(-padded * GROUP // MAX_BLOCK))]
    sizes[-1] -= padded * GROUP - columns
    return Moments(blocks=[np.zeros((size, size), np.float32) for size in sizes])


class Gptq:
    """Rounds the rows of one matrix to int4, for inputs with these moments."""

    def __init__(self, moments: Moments) -> None:
        self._factors = [_factor(block) for block in moments.blocks]

    def quantise(self, weight: Floats) -> Groups:
        """Quantise rows of the matrix, [rows, columns]. Rows do not depend on each other."""
        columns = weight.T.copy()
        numbers = np.empty((len(columns) + -len(columns) % GROUP, len(weight)), np.int8)
        numbers[len(columns) :] = 0
        scales, begin = [], 0
        for factor in self._factors:
            end = begin + len(factor)
            scales += _round_block(columns[begin:end], factor, numbers[begin:end])
            begin = end
        groups = numbers.reshape(-1, GROUP, len(weight)).transpose(2, 0, 1)
        return Groups(numbers=np.ascontiguousarray(groups), scales=np.stack(scales, 1))


def _factor(moments: Floats) -> Floats:
    """The upper Cholesky factor of the inverse of a block's damped moments, with which errors are passed on."""
    damped = moments.astype(np.float64)
    damped.flat[:: len(damped) + 1] += DAMPING * (damped.trace() / len(damped) or 1)
    return np.linalg.cholesky(np.linalg.inv(damped)).T.astype(np.float32)


def _round_block(columns: Floats, factor: Floats, numbers: NDArray[np.int8]) -> list[NDArray[np.float16]]:
    """Round the columns of a block, [columns, rows], into `numbers`. Changes `columns`. Returns each group's scales."""
    scales = []
    for begin in range(0, len(columns), GROUP):
        end = min(begin + GROUP, len(columns))
        importance = np.square(1 / factor.diagonal()[begin:end])
        scale = int4_scales(np.ascontiguousarray(columns[begin:end].T), importance)
        errors = _round_group(columns[begin:end], factor[begin:end, begin:end], scale, numbers[begin:end])
        columns[end:] -= factor[begin:end, end:].T @ errors
        scales.append(scale)
    return scales


def _round_group(columns: Floats, factor: Floats, scale: NDArray[np.float16], numbers: NDArray[np.int8]) -> Floats:
    """Round the columns of a group, [columns, rows], into `numbers`. Returns its errors, [columns, rows]."""
    errors, step = np.empty_like(columns), scale.astype(np.float32)
    inverse = np.divide(1, step, out=np.zeros_like(step), where=step != 0)
    for at, column in enumerate(columns):
        rounded = np.clip(np.rint(column * inverse), LOWEST, HIGHEST)
        numbers[at] = rounded
        errors[at] = (column - rounded * step) / factor[at, at]
        columns[at + 1 :] -= factor[at, at + 1 :, None] * errors[at]
    return errors
