"""Typed access to the metadata of a GGUF file."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelDamaged
from core.models.gguf import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The metadata of the file at `path`. A value of another type than asked for raises ModelDamaged."""

    path: Path
    values: Mapping[str, Value]

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, str):
            raise self.damaged(f"{key} is not a text")
        return value

    def size(self, key: str) -> int | None:
        """A positive integer, or None."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise self.damaged(f"{key} is not a positive integer")
        return value

    def number(self, key: str) -> float | None:
        value = self.values.get(key)
        if value is not None and not isinstance(value, int | float):
            raise self.damaged(f"{key} is not a number")
        return value

    def texts(self, key: str) -> list[str]:
        value = self.values.get(key)
        if not isinstance(value, list):
            raise self.damaged(f"{key} is missing or not a list of texts")
        return value

    def integers(self, key: str) -> list[int]:
        value = self.values.get(key)
        if not isinstance(value, array) or value.typecode in "fd":
            raise self.damaged(f"{key} is missing or not a list of integers")
        return [int(item) for item in value]

    def sizes(self, key: str, count: int) -> list[int]:
        """`count` integers, zero or more: those of a list, or the same one for all."""
        value = self.values.get(key)
        found = self.integers(key) if isinstance(value, array) else [self.size(key) or 0] * count
        if len(found) != count or min(found) < 0:
            raise self.damaged(f"{key} is not a list of {count} sizes")
        return found

    def token(self, key: str) -> int | None:
        """A token id, or None."""
        value = self.values.get(key)
        if value is not None and (not isinstance(value, int) or value < 0):
            raise self.damaged(f"{key} is not a token")
        return value

    def damaged(self, reason: str) -> ModelDamaged:
        return ModelDamaged(str(self.path), reason)
