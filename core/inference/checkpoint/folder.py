"""A folder in the format of transformers: JSON files and safetensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from core.errors import ModelDamaged
from core.inference.arrays import Array
from core.inference.checkpoint.checkpoint import Checkpoint, Read, Source
from core.inference.tokens.files import read_template
from core.models import read_json, weight_files


def open_folder(folder: Path) -> Checkpoint:
    """Read a verified folder. Its weights are read on demand. Raises ModelDamaged if a file is unusable."""
    files = tuple(weight_files(folder))
    path_of = {name: path for path in files for name in _names(path)}
    generation = folder / "generation_config.json"
    chat_template, special_tokens = read_template(folder)
    return Checkpoint(
        path=folder,
        files=files,
        config=_config(folder / "config.json"),
        generation=read_json(generation) if generation.exists() else None,
        tokenizer=read_json(folder / "tokenizer.json"),
        special_tokens=special_tokens,
        chat_template=chat_template,
        read=_reader(path_of),
        translated=0,
        weights=sum(map(_weights, files)),
        fits_bf16=any(map(_has_bf16, files)),
    )


def _config(path: Path) -> Mapping[str, object]:
    whole = read_json(path)
    config = language_config(whole)
    if "quantization_config" in whole or "quantization_config" in config:
        raise ModelDamaged(str(path), "quantised safetensors are not supported")
    return config


def language_config(config: Mapping[str, object]) -> Mapping[str, object]:
    """The part of a `config.json` that describes the language model: all of it, except in models that also see."""
    text = config.get("text_config")
    if not isinstance(text, dict):
        return config
    return {name: value for name, value in config.items() if not isinstance(value, dict)} | text


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A `Source`: a tensor of an open safetensors file."""

    tensor: Any

    def get_shape(self) -> list[int]:
        shape: list[int] = self.tensor.get_shape()
        return shape

    def __getitem__(self, rows: slice) -> Array:
        found: Array = self.tensor[rows]
        return found

    def groups(self, rows: slice) -> None:  # noqa: ARG002  there are none
        return None


def _reader(path_of: Mapping[str, Path]) -> Read:
    """Find tensors in all files of a checkpoint. Each is mapped on its own, and unmapped when it is released."""

    def read(name: str) -> Source | None:
        if name not in path_of:
            return None
        with safe_open(path_of[name], framework="np") as file:
            return FolderSource(file.get_slice(name))

    return read


def _names(path: Path) -> list[str]:
    with safe_open(path, framework="np") as file:
        return list(file.keys())


def _weights(path: Path) -> int:
    with safe_open(path, framework="np") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  not a mapping


def _has_bf16(path: Path) -> bool:
    with safe_open(path, framework="np") as file:
        return any(file.get_slice(name).get_dtype() == "BF16" for name in file.keys())  # noqa: SIM118  not a mapping
