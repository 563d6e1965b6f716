"""Packed weights for the lean decoder, from a checkpoint or, once quantised, from a folder of their own."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import structlog
from safetensors import SafetensorError, safe_open

from core.errors import ModelDamaged, ModelError
from core.inference.arrays import Array
from core.inference.weights.packing import Packed, Read, Source, Unpackable, pack
from core.inference.weights.precision import INT8
from core.inference.weights.shape import Shape
from core.models import MANIFEST, verify_manifest, weight_files, write_manifest

FORMAT: Final = 2
"""Raised when what packing.py writes changes its meaning."""
log = structlog.get_logger()


def load_packed(folder: Path, shape: Shape, dtype: np.dtype[Any], keep: Path) -> Mapping[str, Array]:
    """The packed weights of a model. Quantised ones are written to `keep` once and mapped from there afterwards.

    Raises ModelDamaged where the checkpoint does not fit the shape.
    """
    return _quantised(folder, shape, keep) if dtype == INT8 else dict(_packed(folder, shape, dtype))


def _quantised(folder: Path, shape: Shape, keep: Path) -> Mapping[str, Array]:
    kept = keep / f"{folder.name}-{_identity(folder, shape)}"
    if not _is_whole(kept):
        _write(kept, folder, shape)
    return {path.stem: np.load(path, mmap_mode="r") for path in kept.glob("*.npy")}


def _packed(folder: Path, shape: Shape, dtype: np.dtype[Any]) -> Packed:
    try:
        yield from pack(_reader(folder), shape, dtype)
    except (Unpackable, SafetensorError, TypeError) as error:
        raise ModelDamaged(str(folder), f"its weights do not fit its configuration ({error})") from error


def _reader(folder: Path) -> Read:
    """One tensor of a checkpoint at a time, whichever of its files it is in. What is not held any more is unmapped."""
    where = {name: path for path in weight_files(folder) for name in _names(path)}

    def read(name: str) -> Source | None:
        if name not in where:
            return None
        with safe_open(where[name], framework="np") as file:
            found: Source = file.get_slice(name)
            return found

    return read


def _names(path: Path) -> list[str]:
    with safe_open(path, framework="np") as file:
        return list(file.keys())


def _identity(folder: Path, shape: Shape) -> str:
    """Changes with the checkpoint's files, with the shape they are read in, and with how we pack."""
    stats = [(path.name, path.stat()) for path in weight_files(folder)]
    files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr((FORMAT, files, shape)).encode()).hexdigest()[:16]


def _write(kept: Path, folder: Path, shape: Shape) -> None:
    """A file for each tensor, one of which at a time is in memory, then the manifest. Those of an earlier state go."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as room:
        made = Path(room, kept.name)
        made.mkdir()
        for name, tensor in _packed(folder, shape, INT8):
            np.save(made / f"{name}.npy", tensor)
        write_manifest(made)
        for old in kept.parent.glob(f"{kept.name.rpartition('-')[0]}-????????????????"):
            rmtree(old)
        made.rename(kept)
    log.info("weights quantised", folder=str(kept))


def _is_whole(kept: Path) -> bool:
    if not (kept / MANIFEST).exists():
        return False
    try:
        verify_manifest(kept)
    except ModelError as error:
        log.warning("quantised weights are damaged; they are made anew", reason=str(error))
        return False
    return True
