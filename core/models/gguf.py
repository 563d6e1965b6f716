"""The header of a GGUF file: its metadata, and where its tensors are. Nothing that the file says is trusted.

Specification: docs/gguf.md in the ggml repository.
"""

import struct
import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar

from core.errors import ModelDamaged

SUFFIX: Final = ".gguf"
MAGIC: Final = b"GGUF"
VERSIONS: Final = (2, 3)
MAX_HEADER: Final = 32 << 20
"""Longest header in bytes, which bounds the memory that a lying one can take. A vocabulary of 150,000 takes 6 MB."""
MAX_DIMENSIONS: Final = 4
STRING, ARRAY = 8, 9
SCALARS: Final = MappingProxyType(
    {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
)
"""Number types by their code in the file, as in `struct`."""
T = TypeVar("T")
Value: TypeAlias = "int | float | str | list[str] | array[int] | array[float]"


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorType:
    """A type of weights: a block of `elements` takes `size` bytes."""

    name: str
    elements: int
    size: int


TYPES: Final[Mapping[int, TensorType]] = MappingProxyType(
    {
        code: TensorType(name=name, elements=elements, size=size)
        for code, name, elements, size in (
            (0, "F32", 1, 4),
            (1, "F16", 1, 2),
            (2, "Q4_0", 32, 18),
            (3, "Q4_1", 32, 20),
            (6, "Q5_0", 32, 22),
            (7, "Q5_1", 32, 24),
            (8, "Q8_0", 32, 34),
            (10, "Q2_K", 256, 84),
            (11, "Q3_K", 256, 110),
            (12, "Q4_K", 256, 144),
            (13, "Q5_K", 256, 176),
            (14, "Q6_K", 256, 210),
            (20, "IQ4_NL", 32, 18),
            (23, "IQ4_XS", 256, 136),
            (30, "BF16", 1, 2),
        )
    }
)
"""Types of weights that are read, by their code in the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufTensor:
    """A tensor in a file: `shape` as [rows, columns] or [elements], and its `offset` from the file's beginning."""

    type: TensorType
    shape: tuple[int, ...]
    offset: int

    @property
    def row_bytes(self) -> int:
        return self.shape[-1] // self.type.elements * self.type.size

    @property
    def size(self) -> int:
        return prod(self.shape[:-1]) * self.row_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a GGUF file says before its weights."""

    metadata: Mapping[str, Value]
    tensors: Mapping[str, GgufTensor]


def read_header(path: Path) -> GgufHeader:
    """Read and check a file's header. Raises ModelDamaged unless every tensor lies within the file."""
    with path.open("rb") as file:
        reader = _Reader(file.read(MAX_HEADER))
    try:
        return _header(reader, path.stat().st_size)
    except (_Malformed, UnicodeDecodeError) as error:
        raise ModelDamaged(str(path), f"it is not a whole GGUF file ({error})") from error


class _Malformed(Exception):
    """The header cannot be right; the message says why."""


class _Reader:
    """Reads values one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._data):
            whole = len(self._data) < MAX_HEADER
            raise _Malformed("it ends within its header" if whole else f"its header exceeds {MAX_HEADER >> 20} MB")
        taken = self._data[self.at : end]
        self.at = end
        return taken

    def number(self, layout: str) -> int | float:
        found: int | float
        (found,) = struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))
        return found

    def count(self, layout: str) -> int:
        return int(self.number(layout))

    def text(self) -> str:
        return self.take(self.count("Q")).decode()

    def value(self) -> Value:
        kind = self.count("I")
        if kind == STRING:
            return self.text()
        return self._array() if kind == ARRAY else self.number(_layout(kind))

    def _array(self) -> Value:
        kind, count = self.count("I"), self.count("Q")
        if kind == STRING:
            return [self.text() for _ in range(count)]
        layout = _layout(kind).replace("?", "B")
        values = array(layout)
        values.frombytes(self.take(count * struct.calcsize(f"<{layout}")))
        if sys.byteorder == "big":
            values.byteswap()
        return values


def _layout(kind: int) -> str:
    if kind not in SCALARS:
        raise _Malformed(f"a value has the unknown type {kind}")
    return SCALARS[kind]


def _header(reader: _Reader, file_size: int) -> GgufHeader:
    if reader.take(len(MAGIC)) != MAGIC:
        raise _Malformed("it does not begin with GGUF")
    if (version := reader.count("I")) not in VERSIONS:
        raise _Malformed(f"version {version} is unknown")
    tensor_count, value_count = reader.count("Q"), reader.count("Q")
    metadata = _named(reader, value_count, _Reader.value)
    tensors = _named(reader, tensor_count, _tensor)
    start = reader.at + -reader.at % _alignment(metadata)
    placed = {name: _placed(name, tensor, start, file_size) for name, tensor in tensors.items()}
    if not placed:
        raise _Malformed("it holds no weights")
    return GgufHeader(metadata=metadata, tensors=placed)


def _named(reader: _Reader, count: int, read: Callable[[_Reader], T]) -> dict[str, T]:
    found: dict[str, T] = {}
    for _ in range(count):
        name = reader.text()
        if name in found:
            raise _Malformed(f"{name[:100]!r} is there twice")
        found[name] = read(reader)
    return found


def _tensor(reader: _Reader) -> GgufTensor:
    """A tensor, with its offset from the beginning of the weights."""
    count = reader.count("I")
    if not 1 <= count <= MAX_DIMENSIONS:
        raise _Malformed(f"a tensor has {count} dimensions")
    shape = tuple(reader.count("Q") for _ in range(count))[::-1]
    code, offset = reader.count("I"), reader.count("Q")
    if code not in TYPES:
        raise _Malformed(f"a tensor has type {code}, which is not supported")
    return GgufTensor(type=TYPES[code], shape=shape, offset=offset)


def _alignment(metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 1 <= alignment <= MAX_HEADER:
        raise _Malformed(f"the alignment is {str(alignment)[:20]}")
    return alignment


def _placed(name: str, tensor: GgufTensor, start: int, file_size: int) -> GgufTensor:
    """The tensor with its offset from the beginning of the file."""
    placed = GgufTensor(type=tensor.type, shape=tensor.shape, offset=start + tensor.offset)
    if min(tensor.shape) < 1 or tensor.shape[-1] % tensor.type.elements:
        raise _Malformed(f"{name[:100]!r} has shape {list(tensor.shape)} in {tensor.type.name}")
    if placed.offset + placed.size > file_size:
        raise _Malformed(f"{name[:100]!r} ends beyond the file")
    return placed
