"""Packed weights for the lean decoder, from a checkpoint or, once they have been quantised, from their own file."""

import ctypes
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import ModelDamaged
from core.inference.packing import Unpackable, pack
from core.inference.shape import Shape
from core.models import sha256, weight_files

FORMAT: Final = 1
"""Raised when what packing.py writes changes its meaning."""
M_MMAP_THRESHOLD: Final = -3
SMALL, LARGE = 1 << 18, 32 << 20
"""mallopt(3): allocations above so many bytes are mapped one by one; glibc's own limit grows up to the larger."""
log = structlog.get_logger()


def load_packed(folder: Path, shape: Shape, dtype: torch.dtype, keep: Path) -> Mapping[str, Tensor]:
    """The packed weights of a model. Quantised ones are written to `keep` once and mapped from there afterwards.

    Raises ModelDamaged where the checkpoint does not fit the shape.
    """
    if dtype is not torch.int8:
        return dict(_pack(folder, shape, dtype))
    path = keep / f"{folder.name}-{_identity(folder, shape)}.safetensors"
    if not _is_whole(path):
        with _giving_back():
            _write(path, dict(_pack(folder, shape, dtype)))
    return load_file(path)


def _pack(folder: Path, shape: Shape, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    try:
        yield from pack(_reader(folder), shape, dtype)
    except (Unpackable, SafetensorError, RuntimeError) as error:
        raise ModelDamaged(str(folder), f"its weights do not fit its configuration ({error})") from error


@contextmanager
def _giving_back() -> Iterator[None]:
    """What is freed goes back to the system: glibc would keep gigabytes of pieces for later, and none come."""
    adjust = getattr(ctypes.CDLL(None), "mallopt", lambda _, __: 0)
    adjust(M_MMAP_THRESHOLD, SMALL)
    try:
        yield
    finally:
        adjust(M_MMAP_THRESHOLD, LARGE)


def _reader(folder: Path) -> Callable[[str], Tensor | None]:
    """One tensor of a checkpoint at a time, whichever of its files it is in. What is not held any more is unmapped."""
    where = {name: path for path in weight_files(folder) for name in _names(path)}

    def read(name: str) -> Tensor | None:
        if name not in where:
            return None
        with safe_open(where[name], framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor

    return read


def _names(path: Path) -> list[str]:
    with safe_open(path, framework="pt") as file:
        return list(file.keys())


def _identity(folder: Path, shape: Shape) -> str:
    """Changes with the checkpoint's files, with the shape they are read in, and with how we pack."""
    stats = [(path.name, path.stat()) for path in weight_files(folder)]
    files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr((FORMAT, files, shape)).encode()).hexdigest()[:16]


def _write(path: Path, packed: dict[str, Tensor]) -> None:
    """The weights, then their digest: a file without one was never finished. Those of an earlier state go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.rpartition("-")[0]
    with TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder, path.name)
        save_file(packed, made)
        _digest_file(made).write_text(sha256(made), "ascii")
        for old in path.parent.glob(f"{name}-????????????????.s*"):
            old.unlink(missing_ok=True)
        for file in (made, _digest_file(made)):
            file.replace(path.parent / file.name)
    log.info("weights quantised", file=str(path))


def _is_whole(path: Path) -> bool:
    if not path.exists() or not _digest_file(path).exists():
        return False
    whole = _digest_file(path).read_text("ascii") == sha256(path)
    if not whole:
        log.warning("quantised weights are damaged; they are made anew", file=str(path))
    return whole


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")
