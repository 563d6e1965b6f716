"""Weights as the kernels in native/decoder.c read them: int8 with a scale for each row, in panels of sixteen rows."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

PANEL = 16
MAX_WEIGHT = 127
MAX_ACTIVATION = 127 * 256 + 127
"""What two signed bytes can hold, for processors that multiply bytes."""
MAX_SUM = 2**31 - 1
ROWS_AT_ONCE = 4096
"""As many are in a wider type at a time: a whole vocabulary would be a gigabyte."""


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix [rows, columns] as int8 and its scales, float32 [rows]: weight = int8 * scale, rounded to nearest.

    One scale for each output row keeps a row's products in integers; 0.5 of a step is at most 0.4 % of the row's
    largest weight.
    """
    parts = [_quantise(rows.float()) for rows in _in_parts(weight)]
    return torch.cat([rounded for rounded, _ in parts]), torch.cat([scale for _, scale in parts])


def _in_parts(weight: Tensor) -> Iterator[Tensor]:
    return (weight[start : start + ROWS_AT_ONCE] for start in range(0, len(weight), ROWS_AT_ONCE))


def _quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    scale = weight.abs().amax(1) / MAX_WEIGHT
    return (weight / scale.clamp_min(torch.finfo().tiny)[:, None]).round_().to(torch.int8), scale


def activation_limit(quantised: Tensor) -> int:
    """The largest activation with which no product of a row can leave int32, however the signs fall."""
    heaviest = max(int(rows.abs().sum(1, dtype=torch.int64).max()) for rows in _in_parts(quantised))
    return min(MAX_ACTIVATION, MAX_SUM // max(heaviest, 1))


def panels(weight: Tensor) -> Tensor:
    """A matrix [rows, columns] in the order in which a kernel reads it, padded with zeros to whole panels.

    Sixteen rows stand together, column by column: [rows / 16, columns, 16]. int8 goes by four columns,
    which instructions multiply at once: [rows / 16, columns / 4, 16, 4].
    """
    group = 4 if weight.dtype is torch.int8 else 1
    rows, columns = weight.shape
    weight = pad(weight, (0, -columns % group, 0, -rows % PANEL))
    return weight.view(-1, PANEL, weight.shape[1] // group, group).transpose(1, 2).contiguous()


def whole_panels(vector: Tensor) -> Tensor:
    """A value for each row, float32, padded to whole panels."""
    return pad(vector.float(), (0, -len(vector) % PANEL)).contiguous()
