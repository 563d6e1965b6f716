"""The integers of a model whose precision is "auto": int4 if the model is large and loses little, otherwise int8.

What int4 costs is measured at the first start, and kept beside the weights.
"""

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from core.inference.checkpoint.checkpoint import Checkpoint
from core.inference.weights.layout import weight_count
from core.inference.weights.precision import Precision
from core.inference.weights.shape import Shape
from core.inference.weights.store import identity

LARGE: Final = 250_000_000
"""Weights from which on int4 is considered: a smaller model is fast in int8, and loses more."""
MOST_LOST: Final = 0.05
"""Divergence from int8, in nats a token, up to which int4 is taken. llama.cpp's Q4_K_M is further from its model."""


class Choice(BaseModel):
    """What "auto" came to. `loss` is int4's divergence from int8 in nats a token; None if it was not measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    dtype: Literal[Precision.INT4, Precision.INT8]
    loss: float | None = None

    @property
    def reason(self) -> str:
        if self.loss is None:
            return f"it has fewer than {LARGE // 10**6} million weights"
        return f"int4 diverges from int8 by {self.loss:.3f} nats, at most {MOST_LOST} is taken"


def choose(loss: float) -> Choice:
    return Choice(dtype=Precision.INT4 if loss <= MOST_LOST else Precision.INT8, loss=loss)


def known_choice(checkpoint: Checkpoint, shape: Shape, keep: Path, large: int = LARGE) -> Choice | None:
    """The choice for a model, of which at least `large` weights are to be measured; None before its first start."""
    if weight_count(shape) < large:
        return Choice(dtype=Precision.INT8)
    try:
        return Choice.model_validate_json(_path(checkpoint, shape, keep).read_text("utf-8"))
    except (FileNotFoundError, ValidationError):
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
