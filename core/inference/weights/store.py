"""Packed weights of the lean decoder. Quantised weights are stored on disk and mapped at the next start."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import numpy as np
import structlog
from safetensors import SafetensorError

from core.errors import ModelDamaged, ModelError
from core.inference.arrays import Array, Groups
from core.inference.checkpoint.checkpoint import Checkpoint, Source
from core.inference.weights.layout import weight_count
from core.inference.weights.packing import Int4, Packed, Unpackable, pack, to_nearest
from core.inference.weights.precision import INT4, INT8
from core.inference.weights.shape import Shape
from core.inference.weights.unfinished import remove_leftovers, unfinished
from core.models import MANIFEST, verify_manifest, write_manifest
from core.progress import Progress, unwatched

FORMAT: Final = 7
"""Version of the stored format; raise it if packing.py changes."""
log = structlog.get_logger()


def quantised_folder(data_dir: Path) -> Path:
    """Where the quantised weights of all models are kept."""
    return data_dir / "quantised"


def load_packed(
    checkpoint: Checkpoint,
    shape: Shape,
    dtype: np.dtype[Any],
    keep: Path,
    progress: Progress = unwatched,
    int4: Int4 = to_nearest,
) -> Mapping[str, Array]:
    """The packed weights of a model. Quantised weights are written to the folder `keep` once, and mapped from there.

    `int4` rounds weights to that type. `progress` counts the weights while they are written.
    Raises ModelDamaged if the checkpoint does not fit the shape.
    """
    if dtype in (INT8, INT4):
        return _quantised(checkpoint, shape, dtype, keep, progress, int4)
    return dict(_packed(checkpoint, shape, dtype, int4))


def _quantised(
    checkpoint: Checkpoint, shape: Shape, dtype: np.dtype[Any], keep: Path, progress: Progress, int4: Int4
) -> Mapping[str, Array]:
    keep.mkdir(parents=True, exist_ok=True)
    for leftover in remove_leftovers(keep):
        log.info("removed weights that a killed process left unfinished", folder=str(leftover))
    kept = keep / f"{checkpoint.name}-{identity(checkpoint, shape, dtype.name)}"
    if not _is_whole(kept):
        log.info("quantising weights, once for this model", model=checkpoint.name)
        watched = _watched(checkpoint, weight_count(shape), progress)
        _write(kept, _packed(watched, shape, dtype, int4))
    return {path.stem: np.load(path, mmap_mode="r") for path in kept.glob("*.npy")}


def _packed(checkpoint: Checkpoint, shape: Shape, dtype: np.dtype[Any], int4: Int4) -> Packed:
    try:
        yield from pack(checkpoint.read, shape, dtype, int4)
    except (Unpackable, SafetensorError, TypeError) as error:
        raise ModelDamaged(str(checkpoint.path), f"its weights do not fit its configuration ({error})") from error


def identity(checkpoint: Checkpoint, shape: Shape, dtype: str) -> str:
    """Hash of everything the packed weights depend on: format version, checkpoint files, shape and type."""
    return hashlib.sha256(repr((FORMAT, checkpoint.fingerprint, shape, dtype)).encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Count:
    """Numbers that have been read of all the matrices of a model."""

    total: int
    progress: Progress
    done: int = 0

    def add(self, numbers: int) -> None:
        self.done = min(self.done + numbers, self.total)  # vectors are read too, and not in the total
        self.progress(self.done, self.total)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A tensor whose reading is counted."""

    source: Source
    count: _Count

    def get_shape(self) -> list[int]:
        return self.source.get_shape()

    def __getitem__(self, rows: slice) -> Array:
        read = self.source[rows]
        self.count.add(read.size)
        return read

    def groups(self, rows: slice) -> Groups | None:
        if (found := self.source.groups(rows)) is not None:
            self.count.add(found.numbers.size)
        return found


def _watched(checkpoint: Checkpoint, total: int, progress: Progress) -> Checkpoint:
    """The checkpoint, with what is read of it counted."""
    count = _Count(total, progress)

    def read(name: str) -> Source | None:
        source = checkpoint.read(name)
        return source and _Counted(source, count)

    return replace(checkpoint, read=read)


def _write(kept: Path, packed: Packed) -> None:
    """Write one file per tensor, with one tensor in memory at a time, then the manifest.

    The folder appears complete, by a rename; folders of this model in other versions and types are deleted.
    """
    with unfinished(kept.parent) as folder:
        made = folder / kept.name
        made.mkdir()
        for name, tensor in packed:
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
