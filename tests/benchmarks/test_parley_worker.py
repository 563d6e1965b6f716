from pathlib import Path

import pytest

from benchmarks.parley_worker import batch_runner
from benchmarks.worker import Batch
from core.inference.loader import LoadedModel, load_model
from core.inference.weights.precision import Precision
from tests.core.inference.options import load_options
from tests.core.inference.tiny import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    return load_model(str(write_tiny_model(tmp_path)), tmp_path, load_options(precision=Precision.FP32))


def test_runs_batch_after_batch(model: LoadedModel) -> None:
    """One runner takes batch after batch, with prompts longer than a prefill chunk and with one or eight sequences."""
    run = batch_runner(model)
    for prompts in ([[5] * 300], [[number] * 200 for number in range(8)], [[7]]):
        times = run(Batch(prompts=[prompt[:240] for prompt in prompts], steps=3))
        assert times.prefill > 0
        assert times.decode > 0
