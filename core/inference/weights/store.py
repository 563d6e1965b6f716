"""Packed weights of the lean decoder. Quantised weights are stored on disk and mapped at the next start."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from shutil import rmtree
from typing import Any, Final

import numpy as np
import structlog
from safetensors import SafetensorError

from core.errors import ModelDamaged, ModelError
from core.inference.arrays import Array
from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.weights.packing import Packed, Unpackable, pack
from core.inference.weights.precision import INT8
from core.inference.weights.shape import Shape
from core.inference.weights.unfinished import remove_leftovers, unfinished
from core.models import MANIFEST, verify_manifest, write_manifest

FORMAT: Final = 2
"""Version of the stored format; raise it if packing.py changes."""
log = structlog.get_logger()


def load_packed(checkpoint: Checkpoint, shape: Shape, dtype: np.dtype[Any], keep: Path) -> Mapping[str, Array]:
    """The packed weights of a model. int8 weights are written to the folder `keep` once, and mapped from there.

    Raises ModelDamaged if the checkpoint does not fit the shape.
    """
    return _quantised(checkpoint, shape, keep) if dtype == INT8 else dict(_packed(checkpoint, shape, dtype))


def _quantised(checkpoint: Checkpoint, shape: Shape, keep: Path) -> Mapping[str, Array]:
    keep.mkdir(parents=True, exist_ok=True)
    for leftover in remove_leftovers(keep):
        log.info("removed weights that a killed process left unfinished", folder=str(leftover))
    kept = keep / f"{checkpoint.name}-{_identity(checkpoint, shape)}"
    if not _is_whole(kept):
        _write(kept, checkpoint, shape)
    return {path.stem: np.load(path, mmap_mode="r") for path in kept.glob("*.npy")}


def _packed(checkpoint: Checkpoint, shape: Shape, dtype: np.dtype[Any]) -> Packed:
    try:
        yield from pack(checkpoint.read, shape, dtype)
    except (Unpackable, SafetensorError, TypeError) as error:
        raise ModelDamaged(str(checkpoint.path), f"its weights do not fit its configuration ({error})") from error


def _identity(checkpoint: Checkpoint, shape: Shape) -> str:
    """Hash of everything the packed weights depend on: format version, checkpoint files and shape."""
    return hashlib.sha256(repr((FORMAT, checkpoint.fingerprint, shape)).encode()).hexdigest()[:16]


def _write(kept: Path, checkpoint: Checkpoint, shape: Shape) -> None:
    """Write one file per tensor, with one tensor in memory at a time, then the manifest.

    The folder appears complete, by a rename; folders of earlier versions of this model are deleted.
    """
    with unfinished(kept.parent) as folder:
        made = folder / kept.name
        made.mkdir()
        for name, tensor in _packed(checkpoint, shape, INT8):
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
