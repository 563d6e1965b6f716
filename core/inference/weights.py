"""Packed weights for the lean decoder, from a checkpoint or, once quantised, from a folder of their own."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import Final

import structlog
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import ModelDamaged, ModelError
from core.inference.packing import Unpackable, pack
from core.inference.shape import Shape
from core.models import MANIFEST, verify_manifest, weight_files, write_manifest

FORMAT: Final = 1
"""Raised when what packing.py writes changes its meaning."""
log = structlog.get_logger()


def load_packed(folder: Path, shape: Shape, dtype: torch.dtype, keep: Path) -> Mapping[str, Tensor]:
    """The packed weights of a model. Quantised ones are written to `keep` once and mapped from there afterwards.

    Raises ModelDamaged where the checkpoint does not fit the shape.
    """
    if dtype is not torch.int8:
        return dict(_pack(folder, shape, dtype))
    kept = keep / f"{folder.name}-{_identity(folder, shape)}"
    if not _is_whole(kept):
        _write(kept, _pack(folder, shape, dtype))
    return {name: tensor for path in kept.glob("*.safetensors") for name, tensor in load_file(path).items()}


def _pack(folder: Path, shape: Shape, dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    try:
        yield from pack(_reader(folder), shape, dtype)
    except (Unpackable, SafetensorError, RuntimeError) as error:
        raise ModelDamaged(str(folder), f"its weights do not fit its configuration ({error})") from error


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


def _write(kept: Path, packed: Iterator[tuple[str, Tensor]]) -> None:
    """A file for each layer, so that one at a time is in memory, then the manifest. Those of an earlier state go."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=kept.parent) as folder:
        made = Path(folder, kept.name)
        made.mkdir()
        for part, tensors in groupby(packed, key=lambda named: named[0].partition(".")[0]):
            save_file(dict(tensors), made / f"{part}.safetensors")
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
