"""Options of the model server for tests: Parley's defaults with changes, such as `load_options(threads=1)`."""

from functools import partial
from pathlib import Path

from config.settings import EngineSettings
from core.inference.batching.scheduler import Limits
from core.inference.lean import LoadOptions
from core.inference.weights.precision import KvPrecision, Precision
from tests.options import child_with

_ENGINE = EngineSettings.model_construct()

batch_limits = partial(Limits, max_batch=_ENGINE.max_batch)
load_options = partial(
    LoadOptions,
    precision=Precision(_ENGINE.dtype),
    kv_precision=KvPrecision(_ENGINE.kv_dtype),
    max_context=0,
    cache_bytes=_ENGINE.cache_bytes,
    threads=_ENGINE.threads,
)


def server_arguments(model: Path, data_dir: Path) -> tuple[str, ...]:
    """The required options of `python -m core.inference`."""
    return child_with(model=str(model), data_dir=data_dir).options()
