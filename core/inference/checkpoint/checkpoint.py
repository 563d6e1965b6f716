"""What a model's files say, whichever format they have."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from core.inference.arrays import Array, Groups


class Source(Protocol):
    """A checkpoint tensor whose rows are read on access."""

    def get_shape(self) -> list[int]: ...

    def __getitem__(self, rows: slice) -> Array: ...

    def groups(self, rows: slice) -> Groups | None:
        """The rows as integers with scales, if the file has them so."""


Read: TypeAlias = Callable[[str], Source | None]
"""Finds a checkpoint tensor by its name in transformers; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A verified model on disk. `config`, `generation` and `tokenizer` have the keys of transformers' JSON files.

    `path` is the folder or file, and `files` are those that hold weights. `special_tokens` are texts by names such as
    "bos_token". `chat_template` is its Jinja source. `translated` is the number of tensors if their names are not
    those of transformers, so that `read` translates them, else 0. `weights` is the number of numbers in all tensors.
    `fits_bf16`: bfloat16 loses little of the weights.
    """

    path: Path
    files: tuple[Path, ...]
    config: Mapping[str, object]
    generation: Mapping[str, object] | None
    tokenizer: Mapping[str, object]
    special_tokens: Mapping[str, str]
    chat_template: str | None
    read: Read
    translated: int
    weights: int
    fits_bf16: bool

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change if a file with weights is replaced: a hash of names, sizes and times."""
        stats = [(path.name, path.stat()) for path in self.files]
        files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
        return hashlib.sha256(repr(files).encode()).hexdigest()[:16]
