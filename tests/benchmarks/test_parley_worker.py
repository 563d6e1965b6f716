import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from benchmarks.parley_worker import batch_runner, bytes_per_token
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


def test_tied_embeddings_count_once(model: LoadedModel) -> None:
    """The bytes of tied embeddings count once in the weights that a token reads."""
    size = model.network.vocabulary_size * 64 * 4
    assert bytes_per_token(model.network) == model.network.weight_bytes
    assert size < model.network.weight_bytes < 2 * size + 2 * 4 * 64 * 700


def test_an_embedding_that_is_no_head_is_not_read(tmp_path: Path) -> None:
    """If the head has weights of its own, a token does not read those of the embedding."""
    folder = write_tiny_model(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    head = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors | {"lm_head.weight": head}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    network = load_model(str(folder), folder, load_options(precision=Precision.INT8)).network
    [kept] = (folder / "quantised").iterdir()
    assert network.weight_bytes - bytes_per_token(network) == np.load(kept / "embedding.npy").nbytes
