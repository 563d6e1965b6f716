"""Tensors of all types are converted as the reference library does, in pieces and in the order of transformers."""

from pathlib import Path
from typing import TypeAlias

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from numpy.typing import NDArray

from core.inference.arrays import Groups
from core.inference.checkpoint.gguf_tensors import GgufSource
from core.models.gguf import TYPES, GgufTensor, TensorType
from tests.core.inference.checkpoint.gguf_writer import interleaved
from tests.core.inference.weights.matrices import floats

ROWS, COLUMNS = 40, 512
Halves: TypeAlias = NDArray[np.float16]
BEGIN = 96
"""Bytes before the tensor in its file."""
HALF = np.array([0.5], np.float16).tobytes()
TWO = np.array([2.0], np.float16).tobytes()
ONE = np.array([1.0], np.float16).tobytes()


def write_tensor(path: Path, name: str, blocks: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> GgufTensor:
    path.write_bytes(bytes(BEGIN) + blocks.tobytes())
    type_ = next(known for known in TYPES.values() if known.name == name)
    return GgufTensor(type=type_, shape=(len(blocks), blocks.shape[1] // type_.size * type_.elements), offset=BEGIN)


@pytest.mark.parametrize("name", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_a_quantised_matrix_is_read(tmp_path: Path, name: str) -> None:
    """A random matrix that is quantised and read differs from itself by no more than the type's rounding."""
    matrix = np.random.default_rng(1).standard_normal((ROWS, COLUMNS), np.float32)
    quantised = np.ascontiguousarray(gguf.quantize(matrix, Type[name])).view(np.uint8)
    source = GgufSource(tmp_path / "t", write_tensor(tmp_path / "t", name, quantised))
    rounding = {"F32": 0, "F16": 2e-3, "BF16": 2e-2, "Q8_0": 2e-2, "Q5_0": 0.3, "Q5_1": 0.2, "Q4_0": 0.5, "Q4_1": 0.3}
    assert np.abs(source[:] - matrix).max() <= rounding[name]
    assert source.get_shape() == [ROWS, COLUMNS]


@pytest.mark.parametrize(
    ("name", "block", "value"),
    [
        # each block: 256 weights with the same small integer, made by hand from the format's description
        ("Q2_K", bytes([0x21] * 16) + bytes([0b01010101] * 64) + HALF + TWO, 0.5 * 1 * 1 - 2.0 * 2),
        ("Q3_K", bytes([0xFF] * 32) + bytes([0b01010101] * 64) + bytes([0x11] * 8 + [0xAA] * 4) + HALF, 0.5 * 1 * 1),
        ("Q4_K", HALF + TWO + bytes([3] * 4 + [2] * 4 + [0x23] * 4) + bytes([0x55] * 128), 0.5 * 3 * 5 - 2.0 * 2),
        ("Q5_K", HALF + TWO + bytes([3] * 4 + [2] * 4 + [0x23] * 4) + bytes([0xFF] * 32) + bytes([0x55] * 128), 27.5),
        ("Q6_K", bytes([0x55] * 128) + bytes([0xAA] * 64) + bytes([3] * 16) + HALF, 0.5 * 3 * (0x25 - 32)),
        ("IQ4_NL", ONE + bytes([0x88] * 16), 1.0),
        ("IQ4_XS", HALF + bytes([0xAA] * 2) + bytes([0x33] * 4) + bytes([0x99] * 128), 0.5 * 3 * 13),
    ],
)
def test_blocks_made_by_hand_are_read(tmp_path: Path, name: str, block: bytes, value: float) -> None:
    """Blocks whose weights are all the same have the value that the format's formula gives."""
    blocks = np.tile(np.frombuffer(block, np.uint8), (ROWS, 2))
    source = GgufSource(tmp_path / "t", write_tensor(tmp_path / "t", name, blocks))
    assert set(source[:].ravel()) == {np.float32(value)}


@pytest.mark.parametrize("known", TYPES.values(), ids=lambda known: known.name)
def test_pieces_are_those_of_the_whole(tmp_path: Path, known: TensorType) -> None:
    """Rows that are read in pieces are those of the whole tensor, bit by bit, for every type."""
    blocks = np.random.default_rng(2).integers(0, 60, (ROWS, 512 // known.elements * known.size), np.uint8)
    source = GgufSource(tmp_path / "t", write_tensor(tmp_path / "t", known.name, blocks))
    whole = gguf.dequantize(blocks, Type[known.name])
    pieces = [source[start : start + 7] for start in range(0, ROWS, 7)]
    assert np.array_equal(np.concatenate(pieces), whole)
    assert all(piece.dtype == np.float32 for piece in pieces)


def write_blocks(path: Path, name: str, scales: Halves, minimums: Halves | None = None) -> GgufSource:
    """Blocks of random numbers with these scales and minimums, [rows, blocks]."""
    size = next(known.size for known in TYPES.values() if known.name == name)
    blocks = np.random.default_rng(4).integers(0, 256, (*scales.shape, size), np.uint8)
    blocks[..., :2] = scales[..., None].view(np.uint8)
    if minimums is not None:
        blocks[..., 2:4] = minimums[..., None].view(np.uint8)
    return GgufSource(path, write_tensor(path, name, blocks.reshape(len(blocks), -1)))


@pytest.fixture
def scales() -> Halves:
    found = np.random.default_rng(5).standard_normal((ROWS, 4)).astype(np.float16)
    found[0] = 0
    return found


def groups_of(source: GgufSource) -> Groups:
    """Read in pieces."""
    pieces = [piece for start in range(0, ROWS, 7) if (piece := source.groups(slice(start, start + 7)))]
    shifts = [piece.shifts for piece in pieces if piece.shifts is not None]
    return Groups(
        numbers=np.concatenate([piece.numbers for piece in pieces]),
        scales=np.concatenate([piece.scales for piece in pieces]),
        shifts=np.concatenate(shifts) if shifts else None,
    )


@pytest.mark.parametrize("name", ["Q8_0", "Q5_0", "Q4_0"])
def test_integers_are_those_of_the_file(tmp_path: Path, name: str, scales: Halves) -> None:
    """Numbers and scales are bit by bit the file's, whichever scales it has."""
    source = write_blocks(tmp_path / "t", name, scales)
    found = groups_of(source)
    assert np.array_equal(found.scales, scales)
    assert found.shifts is None
    if name == "Q8_0":
        blocks = np.fromfile(tmp_path / "t", np.uint8, offset=BEGIN).reshape(*scales.shape, -1)
        assert np.array_equal(found.numbers, blocks[:, :, 2:].view(np.int8))
    assert np.array_equal(floats(found), source[:])


@pytest.mark.parametrize("minimum", [0.0, 1.0, -3.0])
@pytest.mark.parametrize(("name", "middle"), [("Q4_1", 8), ("Q5_1", 16)])
def test_unsigned_integers_are_signed_and_shifted(
    tmp_path: Path, name: str, middle: int, minimum: float, scales: Halves
) -> None:
    """A number is less by the middle of its range, and the shift is what the minimum becomes by that."""
    minimums = (np.random.default_rng(6).standard_normal(scales.shape) * minimum).astype(np.float16)
    source = write_blocks(tmp_path / "t", name, scales, minimums)
    found = groups_of(source)
    assert np.array_equal(found.scales, scales)
    assert found.shifts is not None
    assert np.array_equal(found.shifts, minimums.astype(np.float32) + middle * scales.astype(np.float32))
    assert (found.numbers.min(), found.numbers.max()) == (-middle, middle - 1)
    assert np.allclose(floats(found), source[:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["F32", "Q4_K", "IQ4_XS"])
def test_other_types_have_no_such_integers(tmp_path: Path, name: str) -> None:
    """Types without a scale, or with scales in two levels."""
    known = next(known for known in TYPES.values() if known.name == name)
    blocks = np.zeros((ROWS, 512 // known.elements * known.size), np.uint8)
    assert GgufSource(tmp_path / "t", write_tensor(tmp_path / "t", name, blocks)).groups(slice(0, 5)) is None


def test_interleaved_rows_are_put_back(tmp_path: Path) -> None:
    """The rows of heads whose halves were interleaved are read in the order of transformers, in any piece."""
    matrix = np.random.default_rng(3).standard_normal((ROWS, 32), np.float32)
    written = np.ascontiguousarray(interleaved(matrix, heads=5)).view(np.uint8)
    source = GgufSource(tmp_path / "t", write_tensor(tmp_path / "t", "F32", written), heads=5)
    assert np.array_equal(source[:], matrix)
    assert np.array_equal(source[11:29], matrix[11:29])


def test_an_interleaved_bias_is_put_back(tmp_path: Path) -> None:
    """Vectors are put in order as matrices are."""
    vector = np.arange(ROWS, dtype=np.float32)
    (tmp_path / "t").write_bytes(interleaved(vector, heads=5).tobytes())
    tensor = GgufTensor(type=TYPES[0], shape=(ROWS,), offset=0)
    assert np.array_equal(GgufSource(tmp_path / "t", tensor, heads=5)[:], vector)
