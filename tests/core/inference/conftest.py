"""The tiny model, and a server of it, shared by all tests that do not control its steps."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import Qwen2ForCausalLM

from core.inference.checkpoint.opening import open_checkpoint
from core.inference.loader import LoadedModel, load_model
from core.inference.networks.generic import GenericNetwork, open_generic
from core.inference.weights.precision import Precision
from tests.core.inference.options import load_options
from tests.core.inference.serving import Running, Steered, serving
from tests.core.inference.tiny import write_tiny_model

QWEN = Path(__file__).parents[3].parent / "shared/qwen2.5-tokenizer"


torch.set_num_threads(1)  # a model this small is slower with a second thread


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> LoadedModel:
    loaded = load_model(str(tiny_folder), tiny_folder, load_options(precision=Precision.FP32))
    return replace(loaded, network=Steered(loaded.network))


@pytest.fixture(scope="session")
def tiny_generic(tiny: LoadedModel, tiny_folder: Path) -> LoadedModel:
    """The tiny model, run by transformers."""
    return replace(tiny, network=open_generic(open_checkpoint(tiny_folder), Precision.FP32, threads=1))


@pytest.fixture(scope="session")
def oracle(tiny_generic: LoadedModel) -> Qwen2ForCausalLM:
    """The transformers model with the tiny weights: the reference."""
    assert isinstance(tiny_generic.network, GenericNetwork)
    assert isinstance(tiny_generic.network.model, Qwen2ForCausalLM)
    return tiny_generic.network.model


@pytest.fixture(scope="session")
def server(tiny: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tiny, tmp_path_factory.mktemp("server") / "s") as running:
        yield running


@pytest.fixture(scope="session")
def qwen() -> Path:
    if not QWEN.exists():
        pytest.skip("the Qwen2.5 tokenizer is not beside the checkout")
    return QWEN
