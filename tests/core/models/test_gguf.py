"""Headers of GGUF files: whole ones are read, damaged and lying ones are refused in one line without much memory."""

import struct
from pathlib import Path

import gguf
import pytest

from core.errors import ModelDamaged
from core.models.gguf import MAX_HEADER, TYPES, read_header

ALIGNMENT = 32


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def number(key: str, value: int) -> bytes:
    return text(key) + struct.pack("<II", 4, value)


def tensor(name: str, shape: tuple[int, ...] = (2, 32), *, code: int = 8, offset: int = 0) -> bytes:
    """A tensor's entry; `shape` is [rows, columns]."""
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
    return text(name) + sizes + struct.pack("<IQ", code, offset)


def header(
    values: tuple[bytes, ...] = (),
    tensors: tuple[bytes, ...] = (tensor("a"),),
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    counts: tuple[int, int] | None = None,
) -> bytes:
    tensor_count, value_count = counts or (len(tensors), len(values))
    written = magic + struct.pack("<IQQ", version, tensor_count, value_count) + b"".join(values + tensors)
    return written + bytes(-len(written) % ALIGNMENT)


WEIGHTS = bytes(2 * 34)


def test_a_whole_header_is_read(tmp_path: Path) -> None:
    """Numbers, texts and lists are read, and a tensor's place is counted from the beginning of the file."""
    values = (
        number("small", 7),
        text("yes") + struct.pack("<IB", 7, 1),
        text("name") + struct.pack("<I", 8) + text("tiny"),
        text("texts") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("你"),
        text("floats") + struct.pack("<IIQ2f", 9, 6, 2, 0.5, 1.5),
    )
    path = tmp_path / "m.gguf"
    path.write_bytes(header(values) + WEIGHTS)
    found = read_header(path)
    assert {name: value for name, value in found.metadata.items() if name != "floats"} == {
        "small": 7,
        "yes": True,
        "name": "tiny",
        "texts": ["a", "你"],
    }
    assert list(found.metadata["floats"]) == [0.5, 1.5]  # type: ignore[arg-type]
    assert found.tensors["a"].shape == (2, 32)
    assert found.tensors["a"].size == len(WEIGHTS)
    assert found.tensors["a"].offset == path.stat().st_size - len(WEIGHTS)


def test_the_sizes_of_the_types_are_those_of_the_format() -> None:
    """Names and sizes of all types are those of the reference library."""
    for code, known in TYPES.items():
        theirs = gguf.GGMLQuantizationType(code)
        assert (known.name, (known.elements, known.size)) == (theirs.name, gguf.GGML_QUANT_SIZES[theirs])


HUGE = 1 << 62
LYING: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "ends within its header"),
    "another format": (header(magic=b"PK\x03\x04"), "does not begin with GGUF"),
    "big endian": (header(version=3 << 24), "version 50331648 is unknown"),
    "version 1": (header(version=1), "version 1 is unknown"),
    "too many values": (header(counts=(1, HUGE)), "."),
    "too many tensors": (header(counts=(HUGE, 0)), "."),
    "no tensors": (header(tensors=()), "no weights"),
    "a long name": (header((struct.pack("<Q", HUGE),)), "ends within its header"),
    "a long text": (header((text("a") + struct.pack("<IQ", 8, HUGE),)), "ends within its header"),
    "a long list": (header((text("a") + struct.pack("<IIQ", 9, 4, HUGE),)), "ends within its header"),
    "a long list of texts": (header((text("a") + struct.pack("<IIQ", 9, 8, HUGE),)), "ends within its header"),
    "a list of lists": (header((text("a") + struct.pack("<IIQ", 9, 9, 1),)), "unknown type 9"),
    "an unknown type": (header((text("a") + struct.pack("<II", 13, 0),)), "unknown type 13"),
    "a value twice": (header((number("a", 1), number("a", 1))), "'a' is there twice"),
    "a tensor twice": (header(tensors=(tensor("a"), tensor("a"))), "'a' is there twice"),
    "text that is not UTF-8": (header((struct.pack("<Q", 1) + b"\xff" + struct.pack("<II", 4, 1),)), "utf-8"),
    "no dimensions": (header(tensors=(tensor("a", ()),)), "0 dimensions"),
    "many dimensions": (header(tensors=(tensor("a", (1,) * 5),)), "5 dimensions"),
    "no rows": (header(tensors=(tensor("a", (0, 32)),)), "has shape"),
    "a part of a block": (header(tensors=(tensor("a", (2, 33)),)), "has shape"),
    "an unknown tensor type": (header(tensors=(tensor("a", code=16),)), "type 16, which is not supported"),
    "a huge tensor": (header(tensors=(tensor("a", (HUGE, HUGE)),)), "has shape|ends beyond"),
    "a tensor beyond the end": (header(tensors=(tensor("a", (3, 32)),)), "'a' ends beyond the file"),
    "an offset beyond the end": (header(tensors=(tensor("a", offset=HUGE),)), "'a' ends beyond the file"),
    "an alignment of zero": (header((number("general.alignment", 0),)), "alignment is 0"),
    "a textual alignment": (header((text("general.alignment") + struct.pack("<I", 8) + text("x"),)), "alignment is x"),
}


@pytest.mark.parametrize("lie", LYING)
def test_a_lying_file_is_refused(tmp_path: Path, lie: str) -> None:
    """Everything that a header may claim falsely raises ModelDamaged with its reason."""
    content, reason = LYING[lie]
    path = tmp_path / "m.gguf"
    path.write_bytes(content + WEIGHTS if content else b"")
    with pytest.raises(ModelDamaged, match=reason) as error:
        read_header(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path: Path, share: float) -> None:
    """A file that ends anywhere before its end raises ModelDamaged."""
    content = header((number("small", 7),)) + WEIGHTS
    path = tmp_path / "m.gguf"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ModelDamaged):
        read_header(path)


def test_an_endless_header_is_refused(tmp_path: Path) -> None:
    """A header longer than the limit is refused after reading no more than that."""
    path = tmp_path / "m.gguf"
    with path.open("wb") as file:
        file.write(header((text("a") + struct.pack("<IQ", 8, MAX_HEADER),)))
        file.truncate(2 * MAX_HEADER)
    with pytest.raises(ModelDamaged, match="exceeds 32 MB"):
        read_header(path)
