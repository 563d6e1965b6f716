"""The model server's options as tests use them; in the product they come from the settings."""

from pathlib import Path
from typing import Any

from core.inference.batching.scheduler import Limits
from core.inference.loader import LoadOptions
from core.inference.weights.precision import Precision

CACHE_BYTES = 512 << 20


def load_options(**changes: Any) -> LoadOptions:  # noqa: ANN401  any field of LoadOptions
    options: dict[str, Any] = {
        "precision": Precision.AUTO,
        "max_context": 0,
        "cache_bytes": CACHE_BYTES,
        "threads": 0,
    }
    return LoadOptions(**options | changes)


def batch_limits(**changes: int) -> Limits:
    return Limits(**{"max_batch": 8} | changes)


def server_arguments(model: Path, data_dir: Path) -> tuple[object, ...]:
    """The required options of `python -m core.inference`."""
    return (
        *("--model", model),
        *("--data-dir", data_dir),
        *("--threads", 0),
        *("--max-batch", 8),
        *("--dtype", "auto"),
        *("--cache-bytes", CACHE_BYTES),
    )
