"""The integers of a model whose precision is "auto": int4 if the model is large and loses little, otherwise int8.

What int4 costs is measured at the first start, and kept beside the weights.
"""

from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.hardware import memory_bytes
from core.inference.weights.layout import weight_count
from core.inference.weights.precision import Precision
from core.inference.weights.shape import Shape
from core.inference.weights.store import identity

LARGE: Final = 1_000_000_000
"""Weights from which on int4 is considered: a smaller model writes faster than people read in int8, and loses more."""
MOST_LOST: Final = 0.05
"""Divergence from int8, in nats a token, up to which int4 is taken."""
ROUNDING_BYTES: Final = 3
"""Memory for each weight of a model while it is rounded to int4, for what it reads to be counted."""


class Choice(BaseModel):
    """What "auto" came to, and why, in words for the operator."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    dtype: Literal[Precision.INT4, Precision.INT8]
    reason: str


def choose(loss: float) -> Choice:
    """The choice for a model whose divergence from int8 in nats a token was measured."""
    reason = f"int4 diverges from int8 by {loss:.3f} nats, at most {MOST_LOST} is taken"
    return Choice(dtype=Precision.INT4 if loss <= MOST_LOST else Precision.INT8, reason=reason)


def known_choice(
    checkpoint: Checkpoint, shape: Shape, keep: Path, *, large: int = LARGE, available: int | None = None
) -> Choice | None:
    """The choice for a model, or None before the first start of one that is to be measured: it has at least `large`
    weights. `available` is the memory in bytes; None for that of this machine.
    """
    weights = weight_count(shape)
    if weights < large:
        return Choice(dtype=Precision.INT8, reason=f"it has fewer than {large // 10**6} million weights")
    with suppress(FileNotFoundError, ValidationError):
        return Choice.model_validate_json(_path(checkpoint, shape, keep).read_text("utf-8"))
    if (needed := ROUNDING_BYTES * weights) > (memory_bytes() if available is None else available):
        return Choice(dtype=Precision.INT8, reason=f"rounding it to int4 takes {needed / 1e9:.1f} GB of memory")
    return None


def remember(choice: Choice, checkpoint: Checkpoint, shape: Shape, keep: Path) -> None:
    """Keep the choice for the next start, and none of an earlier version of the model."""
    path = _path(checkpoint, shape, keep)
    for old in keep.glob(f"{checkpoint.name}-????????????????.json"):
        old.unlink()
    unfinished = path.with_suffix(".part")
    unfinished.write_text(choice.model_dump_json(), "utf-8")
    unfinished.replace(path)


def _path(checkpoint: Checkpoint, shape: Shape, keep: Path) -> Path:
    return keep / f"{checkpoint.name}-{identity(checkpoint, shape, Precision.AUTO)}.json"
