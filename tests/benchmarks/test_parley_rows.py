from pathlib import Path

import pytest

from benchmarks.parley_rows import contender
from benchmarks.rows import Work
from core.inference.loader import LoadedModel, LoadOptions, load_model
from core.inference.weights.precision import Precision
from tests.core.inference.tiny import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    return load_model(str(write_tiny_model(tmp_path)), tmp_path, LoadOptions(precision=Precision.FP32))


def test_reads_and_writes_rows(model: LoadedModel) -> None:
    """Rows longer than a prefill chunk are read and written; work after work, as nothing stays behind."""
    run = contender(model)
    for prompts in ([[5] * 300], [[number] * 200 for number in range(8)], [[7]]):
        times = run(Work(prompts=[prompt[:240] for prompt in prompts], steps=3))
        assert times.reading > 0
        assert times.writing > 0


def test_a_token_reads_tied_embeddings_once(model: LoadedModel) -> None:
    """The head is the embeddings: their bytes count once."""
    size = model.network.vocabulary * 64 * 4
    assert size < model.network.weight_bytes < 2 * size + 2 * 4 * 64 * 700
