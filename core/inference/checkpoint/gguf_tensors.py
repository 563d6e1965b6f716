"""The tensors in a GGUF file, found by their names in transformers and converted to float32 a few rows at a time."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import gguf
import numpy as np
from numpy.typing import NDArray

from core.inference.arrays import GROUP, Floats, Groups
from core.inference.checkpoint.checkpoint import Read, Source
from core.models.gguf import GgufTensor

KINDS: Final = (".weight", ".bias")
ONCE: Final = ("token_embd", "token_embd_norm", "output", "output_norm", "rope_freqs")
IN_LAYERS: Final = (
    *("attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "attn_q_norm", "attn_k_norm", "post_attention_norm"),
    *("ffn_norm", "ffn_gate", "ffn_up", "ffn_down", "post_ffw_norm"),
    *(r"shortconv\.conv", r"shortconv\.in_proj", r"shortconv\.out_proj"),
)
KNOWN: Final = re.compile(rf"({'|'.join(ONCE)}|blk\.\d{{1,4}}\.({'|'.join(IN_LAYERS)}))\.(weight|bias)")
"""Names of tensors that some network uses."""
BLOCKS: Final = {"Q8_0": 0, "Q5_0": 0, "Q4_0": 0, "Q5_1": 16, "Q4_1": 8}
"""Types of blocks of 32 numbers of at most 8 bits, and the middle of the numbers' range if they are unsigned. The
numbers follow their scale and, if they are unsigned, a minimum, both in fp16.
"""
INTERLEAVED: Final = re.compile(r"blk\.\d+\.attn_(q|k)\.(weight|bias)")


class GgufSource:
    """A `Source`. `heads`: in how many heads its rows are interleaved; 0 if they have the order of transformers."""

    def __init__(self, path: Path, tensor: GgufTensor, heads: int = 0) -> None:
        self._path = path
        self._tensor = tensor
        self._heads = heads

    def get_shape(self) -> list[int]:
        return list(self._tensor.shape)

    def __getitem__(self, rows: slice) -> Floats:
        """The rows as float32. The file is mapped for this call only, so that it does not count as used memory."""
        if len(self._tensor.shape) == 1:
            whole = np.fromfile(self._path, np.uint8, self._tensor.size, offset=self._tensor.offset)
            return _floats(whole, self._tensor)[self._chosen(rows)]
        return _floats(self._raw(rows), self._tensor)

    def groups(self, rows: slice) -> Groups | None:
        """The file's own blocks: their numbers and scales bit by bit, and their minimums as shifts.

        The numbers are the weights that the blocks would have with scales of one and minimums of zero.
        """
        middle = BLOCKS.get(self._tensor.type.name)
        if middle is None:
            return None
        raw = self._raw(rows)
        blocks = raw.reshape(len(raw), -1, self._tensor.type.size).copy()
        scales = _replaced(blocks[..., :2], 1)
        shifts = _replaced(blocks[..., 2:4], 0) + middle * scales if middle else None
        numbers = _floats(blocks.reshape(raw.shape), self._tensor) - middle
        return Groups(
            numbers=numbers.astype(np.int8).reshape(len(raw), -1, GROUP),
            scales=scales.astype(np.float16),
            shifts=shifts,
        )

    def _raw(self, rows: slice) -> NDArray[np.uint8]:
        tensor = self._tensor
        count = tensor.size // tensor.row_bytes
        mapped = np.memmap(self._path, np.uint8, "r", tensor.offset, (count, tensor.row_bytes))
        return np.asarray(mapped[self._chosen(rows)])

    def _chosen(self, rows: slice) -> slice | NDArray[np.int64]:
        return row_order(self._tensor.shape[0], self._heads)[rows] if self._heads else rows


def unknown_tensors(tensors: Iterable[str], name: str, layers: int) -> list[str]:
    """The tensors that no network of the architecture `name` uses."""
    stems = {ours for _, ours in _names(name, layers).mapping.values()}
    return [tensor for tensor in tensors if not KNOWN.fullmatch(tensor) or tensor.rpartition(".")[0] not in stems]


def open_tensors(
    path: Path, tensors: Mapping[str, GgufTensor], *, name: str, layers: int, heads: Mapping[str, int]
) -> Read:
    """Find tensors by their names in transformers; `name` is the architecture's. `heads` has the number of heads of
    interleaved tensors, by "q" and "k"; it is empty if rows have the order of transformers.
    """
    names = _names(name, layers)

    def read(theirs: str) -> Source | None:
        ours = names.get_name(theirs, KINDS)
        if ours is None or ours not in tensors:
            return None
        interleaved = INTERLEAVED.fullmatch(ours) if heads else None
        return GgufSource(path, tensors[ours], heads[interleaved[1]] if interleaved else 0)

    return read


def _names(name: str, layers: int) -> gguf.TensorNameMap:
    return gguf.get_tensor_name_map(_ARCHITECTURES[name], layers)


def row_order(rows: int, heads: int) -> NDArray[np.int64]:
    """The file's row for each row in transformers.

    transformers rotates the first half of a head's rows against the second; the file has the two rows of each
    rotation next to each other.
    """
    return np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)


def _replaced(halves: NDArray[np.uint8], value: float) -> Floats:
    """Overwrite floats in fp16, [..., 2] bytes, with a value. Returns what they were, as float32."""
    found = halves.copy().view(np.float16)[..., 0]
    halves[:] = np.array([value], np.float16).view(np.uint8)
    return found.astype(np.float32)


def _floats(raw: NDArray[np.uint8], tensor: GgufTensor) -> Floats:
    found: Floats = gguf.dequantize(raw, gguf.GGMLQuantizationType[tensor.type.name])
    return found


_ARCHITECTURES: Final = {name: code for code, name in gguf.MODEL_ARCH_NAMES.items()}
