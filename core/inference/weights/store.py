"""Packed weights of the lean decoder. Quantised weights are stored on disk and mapped at the next start."""

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
"""Version of the stored format; raise it if packing.py changes."""
log = structlog.get_logger()


def load_packed(folder: Path, shape: Shape, dtype: np.dtype[Any], keep: Path) -> Mapping[str, Array]:
    """The packed weights of a model. int8 weights are written to the folder `keep` once, and mapped from there.

    Raises ModelDamaged if the checkpoint does not fit the shape.
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
    """Find tensors in all files of a checkpoint. Each is mapped on its own, and unmapped when it is released."""
    path_of = {name: path for path in weight_files(folder) for name in _names(path)}

    def read(name: str) -> Source | None:
        if name not in path_of:
            return None
        with safe_open(path_of[name], framework="np") as file:
            found: Source = file.get_slice(name)
            return found

    return read


def _names(path: Path) -> list[str]:
    with safe_open(path, framework="np") as file:
        return list(file.keys())


def _identity(folder: Path, shape: Shape) -> str:
    """Hash of everything the packed weights depend on: format version, checkpoint files and shape."""
    stats = [(path.name, path.stat()) for path in weight_files(folder)]
    files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    return hashlib.sha256(repr((FORMAT, files, shape)).encode()).hexdigest()[:16]


def _write(kept: Path, folder: Path, shape: Shape) -> None:
    """Write one file per tensor, with one tensor in memory at a time, then the manifest.

    The folder appears complete, by a rename; folders of earlier versions of this model are deleted.
    """
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as temporary:
        made = Path(temporary, kept.name)
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
        log.warning("stored quantised weights are damaged; quantising again", reason=str(error))
        return False
    return True
